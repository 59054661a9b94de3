//! The API for programs: `api/v1/<resource>/<verb>.rs`.

pub(crate) mod v1;
