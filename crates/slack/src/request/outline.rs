//! The outline of a payload: the few fields that routing looks at, out of JSON that may be large.
//!
//! What else there is (the message, its blocks, a modal's state) is read past and not built, which takes a fifth of
//! the time. It is not judged either: a number or an escape that we could not represent is the handler's business.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::Unreadable;

/// The fields that routing looks at, wherever they stand.
fn is_wanted(field: &str) -> bool {
    matches!(
        field,
        "type"
            | "challenge"
            | "api_app_id"
            | "app_id"
            | "authorizations"
            | "team_id"
            | "enterprise_id"
            | "is_enterprise_install"
            | "team"
            | "enterprise"
            | "user"
            | "id"
            | "event_id"
            | "event"
            | "view"
            | "app_installed_team_id"
            | "callback_id"
            | "actions"
            | "action_id"
            | "channel"
            | "ts"
    )
}

/// Reads an object's outline. Of a field that comes twice the last counts.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Unreadable> {
    // The whole of it, also what is read past: JSON is UTF-8.
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::NotJson)?;
    match serde_json::from_str(text) {
        Ok(Outline(json @ Value::Object(_))) => Ok(json),
        Ok(_) => Err(Unreadable::NotAnObject),
        Err(_) => Err(Unreadable::NotJson),
    }
}

struct Outline(Value);

impl<'de> Deserialize<'de> for Outline {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(Name(name)) = fields.next_key()? {
            match name {
                Some(name) => drop(kept.insert(name, fields.next_value::<Outline>()?.0)),
                None => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Value::Object(kept))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut kept = Vec::new();
        while let Some(Outline(item)) = items.next_element()? {
            kept.push(item);
        }
        Ok(Value::Array(kept))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// A field's name, if it is wanted.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct NameReader;
        impl Visitor<'_> for NameReader {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name, E> {
                Ok(Name(is_wanted(name).then(|| name.to_owned())))
            }
        }
        json.deserialize_str(NameReader)
    }
}
