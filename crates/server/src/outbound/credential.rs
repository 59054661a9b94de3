//! The gateway key in a proxied call: found, and taken out, so that Slack never sees it.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, header};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A call without the key that allowed it.
pub(super) struct Bare {
    pub(super) key: Option<String>,
    pub(super) query: Option<String>,
    pub(super) body: Bytes,
}

/// A body that says it is a JSON object and is none: what hides in it cannot be told.
#[derive(Debug)]
pub(super) struct NotAnObject;

/// Takes the key out of a call: from the header, else from the body's `token` field, where some SDKs send it.
/// Wherever else a `token` stands it is taken out as well: Slack shall not see ours. (In a query Slack takes
/// none.)
pub(super) fn take(headers: &HeaderMap, query: Option<&str>, body: Bytes) -> Result<Bare, NotAnObject> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (_, query) = take_from_form(query.unwrap_or_default().as_bytes());
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (in_body, body) = match essence.as_str() {
        "application/x-www-form-urlencoded" => {
            let (key, rest) = take_from_form(&body);
            (key, rest.map_or(body, Bytes::from))
        }
        "application/json" if !body.is_empty() => take_from_json(body)?,
        "multipart/form-data" => match boundary(content_type) {
            Some(boundary) => take_from_multipart(&boundary, body),
            None => (None, body),
        },
        _ => (None, body),
    };
    let query = query.map(|rest| String::from_utf8_lossy(&rest).into_owned());
    Ok(Bare { key: crate::auth::bearer(headers).map(str::to_owned).or(in_body), query, body })
}

/// The `token` of a form, and the form without it, its other bytes as they came. `None`: there was no form.
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

/// The `token` of a JSON object, and the object without it: the other fields in their order, each with its
/// bytes. Without a token nothing is changed at all.
fn take_from_json(body: Bytes) -> Result<(Option<String>, Bytes), NotAnObject> {
    let Fields(fields) = serde_json::from_slice(&body).map_err(|_| NotAnObject)?;
    if !fields.iter().any(|(name, _)| name == "token") {
        return Ok((None, body));
    }
    let (tokens, kept): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(name, _)| name == "token");
    let key = tokens.iter().find_map(|(_, token)| serde_json::from_str(token.get()).ok());
    let kept = kept
        .iter()
        .map(|(name, value)| format!("{}:{}", serde_json::Value::from(name.as_str()), value.get()));
    Ok((key, format!("{{{}}}", kept.collect::<Vec<_>>().join(",")).into()))
}

/// A JSON object's fields, in their order.
struct Fields<'b>(Vec<(String, &'b RawValue)>);

impl<'de: 'b, 'b> Deserialize<'de> for Fields<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Each).map(Self)
    }
}

fn boundary(content_type: &str) -> Option<String> {
    let parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    let (_, boundary) = parameters.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("boundary"))?;
    Some(format!("--{}", boundary.trim_matches('"'))).filter(|boundary| boundary.len() > 2)
}

/// The part of a multipart body that is named `token`, and the body without it.
fn take_from_multipart(boundary: &str, body: Bytes) -> (Option<String>, Bytes) {
    let boundary = boundary.as_bytes();
    let starts = (0..body.len()).filter(|at| body[*at..].starts_with(boundary)).collect::<Vec<_>>();
    let token = starts.windows(2).find(|part| is_token(&body[part[0]..part[1]]));
    let Some(&[start, end]) = token else { return (None, body) };
    let part = &body[start..end];
    let value =
        part.windows(4).position(|window| window == b"\r\n\r\n").map(|head| part[head + 4..].trim_ascii());
    let key = value.map(|value| String::from_utf8_lossy(value).into_owned());
    (key, [&body[..start], &body[end..]].concat().into())
}

fn is_token(part: &[u8]) -> bool {
    let head = part.split(|byte| *byte == b'\n').skip(1).take_while(|line| !line.trim_ascii().is_empty());
    head.map(|line| String::from_utf8_lossy(line).trim().to_ascii_lowercase())
        .filter(|line| line.starts_with("content-disposition:"))
        .any(|line| line.split(';').filter_map(|parameter| parameter.split_once('=')).any(is_named_token))
}

fn is_named_token((name, value): (&str, &str)) -> bool {
    name.trim() == "name" && value.trim().trim_matches('"') == "token"
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
        take(&headers, Some(query), Bytes::from_static(body.as_bytes())).unwrap()
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
        let bare = bare(
            "application/json; charset=utf-8",
            None,
            "",
            r#"{"z":1.50,"token":"tl_1","a\"b":[ ],"text":"\u0041","z":2}"#,
        );
        assert_eq!(bare.key.as_deref(), Some("tl_1"));
        assert_eq!(
            bare.body, r#"{"z":1.50,"a\"b":[ ],"text":"\u0041","z":2}"#,
            "in their order, as they came"
        );
    }

    #[test]
    fn json_that_is_no_object_could_hide_anything() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        assert!(take(&headers, None, Bytes::from_static(br#"[{"token":"tl_1"}]"#)).is_err());
        assert!(take(&headers, None, Bytes::new()).is_ok(), "nothing at all is harmless");
    }

    #[test]
    fn a_multipart_body_loses_the_part_with_the_key() {
        let part = |name: &str, value: &str| {
            format!("--xyz\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let (file, end) = (part("file", "the token is --xy not here"), "--xyz--\r\n");
        let body = [part("a", "1"), part("token", "tl_1"), file.clone(), end.into()].concat();
        let (key, rest) = take_from_multipart("--xyz", body.into());
        assert_eq!(key.as_deref(), Some("tl_1"));
        assert_eq!(rest, [part("a", "1"), file, end.into()].concat());
        assert!(is_token(b"--x\r\ncontent-disposition:form-data;name=token\r\n\r\n"));
        assert!(!is_token(b"--x\r\ncontent-disposition: form-data; name=tokenizer\r\n\r\n"));
        assert_eq!(boundary("multipart/form-data; boundary=\"xyz\"").as_deref(), Some("--xyz"));
    }

    #[test]
    fn other_bodies_pass_untouched() {
        assert_eq!(bare("application/octet-stream", None, "", "token=tl_1").body, "token=tl_1");
    }
}
