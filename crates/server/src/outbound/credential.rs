//! The gateway key in a proxied call: found, and taken out, so that Slack never sees it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::value::RawValue;

/// A call without the key that allowed it.
pub(super) struct Bare {
    pub(super) key: Option<String>,
    pub(super) query: Option<String>,
    pub(super) body: Bytes,
}

/// Takes the key out of a call: from the header, else from the body's `token` field, where some SDKs send it.
/// A `token` in the query is dropped: Slack takes none there, and shall not see ours.
pub(super) fn take(headers: &HeaderMap, query: Option<&str>, body: Bytes) -> Bare {
    let (_, query) = take_from_form(query.unwrap_or_default().as_bytes());
    let (in_body, body) = match essence(headers).as_deref() {
        Some("application/x-www-form-urlencoded") => {
            let (key, rest) = take_from_form(&body);
            (key, rest.map_or(body, Bytes::from))
        }
        Some("application/json") => match take_from_json(&body) {
            Some((key, rest)) => (key, rest),
            None => (None, body),
        },
        _ => (None, body),
    };
    let query = query.map(|rest| String::from_utf8_lossy(&rest).into_owned());
    Bare { key: crate::auth::bearer(headers).map(str::to_owned).or(in_body), query, body }
}

fn essence(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(content_type.split(';').next()?.trim().to_ascii_lowercase())
}

/// The `token` of a form, and the form without it, its other bytes as they came. `None`: nothing is left over.
fn take_from_form(form: &[u8]) -> (Option<String>, Option<Vec<u8>>) {
    let mut key = None;
    let mut kept = Vec::new();
    for pair in form.split(|byte| *byte == b'&') {
        match form_urlencoded::parse(pair).next() {
            Some((field, value)) if field == "token" => key = Some(value.into_owned()),
            _ => kept.push(pair),
        }
    }
    let rest = kept.join(&b'&');
    (key, (!form.is_empty()).then_some(rest))
}

/// The `token` of a JSON object, and the object without it; every other value keeps its bytes. `None`: there
/// is none, and nothing to change.
fn take_from_json(body: &[u8]) -> Option<(Option<String>, Bytes)> {
    let mut fields: BTreeMap<String, &RawValue> = serde_json::from_slice(body).ok()?;
    let token = fields.remove("token")?;
    let key = serde_json::from_str(token.get()).ok();
    Some((key, serde_json::to_vec(&fields).ok()?.into()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn bare(
        content_type: &'static str,
        bearer: Option<&'static str>,
        query: &str,
        body: &'static str,
    ) -> Bare {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        if let Some(bearer) = bearer {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(bearer));
        }
        take(&headers, Some(query), Bytes::from_static(body.as_bytes()))
    }

    const FORM: &str = "application/x-www-form-urlencoded;charset=UTF-8";

    #[test]
    fn a_form_keeps_every_other_byte() {
        let bare = bare(FORM, None, "", "a=%41+b&token=tl_1&blocks=%5B%5D&&c");
        assert_eq!(bare.key.as_deref(), Some("tl_1"));
        assert_eq!(bare.body, "a=%41+b&blocks=%5B%5D&&c");
    }

    #[test]
    fn the_header_wins_and_the_body_is_cleaned_all_the_same() {
        let bare = bare(FORM, Some("Bearer tl_h"), "", "token=tl_b&%74oken=tl_c&x=1");
        assert_eq!(bare.key.as_deref(), Some("tl_h"));
        assert_eq!(bare.body, "x=1");
    }

    #[test]
    fn a_query_is_no_place_for_a_key() {
        let bare = bare(FORM, None, "limit=5&token=tl_1", "");
        assert_eq!(bare.key, None);
        assert_eq!(bare.query.as_deref(), Some("limit=5"));
    }

    #[test]
    fn json_is_touched_only_to_take_the_key_out() {
        let odd = r#"{ "text" : "\u0041", "n":1.50 }"#;
        assert_eq!(bare("application/json", None, "", odd).body, odd);
        let bare = bare("application/json; charset=utf-8", None, "", r#"{"token":"tl_1","text":"\u0041"}"#);
        assert_eq!(bare.key.as_deref(), Some("tl_1"));
        assert_eq!(bare.body, r#"{"text":"\u0041"}"#);
    }

    #[test]
    fn other_bodies_pass_untouched() {
        assert_eq!(bare("multipart/form-data; boundary=x", None, "", "token=tl_1").body, "token=tl_1");
    }
}
