//! `limit` and `cursor`, the same in every list.

use tautline_core::{Cursor, PageRequest, limits};

use crate::error::{ApiError, ApiResult};

/// Reads what a caller asked for.
pub(super) fn page(limit: Option<u32>, cursor: Option<&str>) -> ApiResult<PageRequest> {
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
