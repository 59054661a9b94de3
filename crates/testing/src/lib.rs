//! What the tests, the soak and the bench stand on: a throw-away PostgreSQL.
//!
//! Nothing of the product leans on this. Needs the system's PostgreSQL, which `cargo xtask setup` installs.

mod cluster;
mod pooler;
mod programs;

pub use cluster::{Cluster, Database};
pub use pooler::Pooler;
pub use programs::{is_there, postgres_program};
