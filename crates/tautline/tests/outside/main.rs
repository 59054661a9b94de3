//! From outside: real processes on real sockets, started and stopped by the tests.
//!
//! Each test has a loopback address of its own, so that all can run at once and ports never meet.

mod access;
mod alert;
mod bad_days;
mod bolt_apps;
mod bolt_js;
mod connect;
mod connect_beyond;
mod crash;
mod dashboard;
mod dead_letters;
mod dev;
mod directory;
mod dispatch;
mod door;
mod endpoints;
mod handlers;
mod home;
mod house;
mod keeping;
mod keys;
mod kills;
mod messages;
mod metrics;
mod moving_in;
mod operate;
mod operations;
mod proxy;
mod rotation;
mod routes;
mod rust_bot;
mod secrets;
mod stalled_commit;
mod standard;
mod storm;
mod story;
mod support;
mod syncs;
mod tenancy;
mod tokens;
mod upkeep;
