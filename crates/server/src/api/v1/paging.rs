//! `limit` and `cursor`, the same in every list.

use serde::Deserialize;
use tautline_core::{Cursor, PageRequest, limits};

use utoipa::IntoParams;

use crate::error::{ApiError, ApiResult};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// 1 to 500; 50 unless asked for.
    pub(crate) limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

/// Reads what a caller asked for.
pub(crate) fn page(limit: Option<u32>, cursor: Option<&str>) -> ApiResult<PageRequest> {
    let limit = limit.unwrap_or(limits::PAGE_DEFAULT);
    if limit == 0 || limit > limits::PAGE_MAX {
        let max = limits::PAGE_MAX;
        return Err(ApiError::bad_request("invalid_limit", format!("limit is not from 1 to {max}"))
            .fix("leave it out, or ask for less and follow next_cursor"));
    }
    let after = match cursor {
        None | Some("") => None,
        Some(text) => Some(Cursor::decode(text).ok_or_else(|| {
            ApiError::bad_request("invalid_cursor", "this is no cursor").fix("pass next_cursor on as it came")
        })?),
    };
    Ok(PageRequest { limit, after })
}
