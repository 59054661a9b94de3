//! JSON of whatever bytes, as an event and as an interaction's payload. Beside an authorization the outer team never
//! counts.
#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use tautline_slack::request::{Inbound, Kind, read_again};

fuzz_target!(|body: &[u8]| {
    let json = HeaderValue::from_static("application/json");
    if let Ok(Inbound::Request(routing)) = read_again(Some(&json), body) {
        assert_eq!(routing.kind, Kind::Event);
        assert!(routing.name.chars().count() <= 255 && !routing.name.chars().any(char::is_control));
        assert!(routing.origin.places().len() <= 2);
    }
    let escaped = body.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes());
    let wrapped = b"payload=".iter().copied().chain(escaped).collect::<Vec<_>>();
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    if let Ok(Inbound::Request(routing)) = read_again(Some(&form), &wrapped) {
        assert!(routing.origin.places().len() <= 2);
    }
});
