//! Forms of whatever bytes: read or refused, and of what is read every field is within its bounds.
#![no_main]

use http::HeaderValue;
use libfuzzer_sys::fuzz_target;
use tautline_slack::request::{Inbound, Kind, Shortfall, fallback, is_ssl_check, payload, read_again, response_url};

fuzz_target!(|body: &[u8]| {
    let form = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
    let read = read_again(Some(&form), body);
    let _ = (is_ssl_check(Some(&form), body), payload(Some(&form), body), response_url(Some(&form), body));
    if let Ok(Inbound::Request(routing)) = read {
        assert!(routing.name.chars().count() <= 255 && !routing.name.chars().any(char::is_control));
        assert_ne!(routing.kind, Kind::Event, "an event is no form");
        assert!(routing.origin.places().len() <= 2);
        let _ = fallback(routing.kind, &routing.name, Some(&form), body, Shortfall::Pending);
    }
});
