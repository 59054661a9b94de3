//! What the tests stand on.

mod address;
mod chromium;
mod gateway;
pub mod inside;
pub mod issuer;
mod people;
mod process;
mod receiver;
mod slack;

pub use address::Address;
pub use chromium::{Chromium, LOOKS};
pub use gateway::{ADMIN_KEY, ENCRYPTION_KEYS, Gateway, GatewaySetup, tautline};
pub use people::{Browser, Page, form};
pub use process::{Process, eventually};
pub use receiver::{OK, Received, Receiver, Reply, response};
pub use slack::{CLIENT_SECRET, SIGNING_SECRET, Slack, signed};

/// A client that follows nothing and asks nobody else.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}
