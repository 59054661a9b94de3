//! `/api/v1/vault`

pub(crate) mod reseal;
