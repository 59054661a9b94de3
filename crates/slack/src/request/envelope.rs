//! An event's envelope: the few fields that routing looks at, out of a payload that may be large.
//!
//! What else there is (the message, its blocks) is read past and not built. It is not judged either: a number or an
//! escape that we could not represent is the handler's business.

use std::collections::HashMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Unreadable;

/// The fields that routing looks at.
const WANTED: [&str; 8] = [
    "type",
    "challenge",
    "api_app_id",
    "team_id",
    "enterprise_id",
    "is_enterprise_install",
    "event_id",
    "authorizations",
];

/// Reads the envelope; of the inner event, its type. Of a field that comes twice the last counts.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Unreadable> {
    let envelope = fields(bytes)?;
    let mut kept = Map::new();
    for name in WANTED {
        if let Some(value) = envelope.get(name) {
            kept.insert(name.to_owned(), built(value)?);
        }
    }
    if let Some(event) = envelope.get("event")
        && let Ok(event) = fields(event.get().as_bytes())
        && let Some(kind) = event.get("type")
    {
        kept.insert("event".to_owned(), Value::Object(Map::from_iter([("type".to_owned(), built(kind)?)])));
    }
    Ok(Value::Object(kept))
}

fn fields(bytes: &[u8]) -> Result<HashMap<String, &RawValue>, Unreadable> {
    serde_json::from_slice(bytes)
        .map_err(|error| if error.is_data() { Unreadable::NotAnObject } else { Unreadable::NotJson })
}

fn built(value: &RawValue) -> Result<Value, Unreadable> {
    serde_json::from_str(value.get()).map_err(|_| Unreadable::NotJson)
}
