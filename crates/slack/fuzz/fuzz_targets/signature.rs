//! Whatever the headers hold, only the right signature passes.
#![no_main]

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use tautline_slack::signing::{SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, verify};

const NOW_S: i64 = 1_700_000_000;

fuzz_target!(|data: (Vec<u8>, Vec<u8>, Vec<u8>, bool)| {
    let (timestamp, signature, body, is_signed) = data;
    let secrets = [SigningSecret::new("fuzz").unwrap(), SigningSecret::new("other").unwrap()];
    let mut headers = HeaderMap::new();
    let right = secrets[1].sign(NOW_S, &body);
    if is_signed {
        headers.insert(TIMESTAMP_HEADER, HeaderValue::from(NOW_S));
        headers.insert(SIGNATURE_HEADER, HeaderValue::from_str(&right).unwrap());
    }
    // What the fuzzer writes is added: a header that is there twice must not pass for either.
    for (name, value) in [(TIMESTAMP_HEADER, &timestamp), (SIGNATURE_HEADER, &signature)] {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    let repeated = headers.get_all(SIGNATURE_HEADER).iter().count() > 1;
    let verified = verify(&secrets, &headers, body.clone().into(), NOW_S);
    if let Ok(verified) = verified {
        let shown = headers.get(SIGNATURE_HEADER).unwrap().to_str().unwrap();
        let at = headers.get(TIMESTAMP_HEADER).unwrap().to_str().unwrap().parse().unwrap();
        assert!(secrets.iter().any(|secret| secret.sign(at, &body) == shown), "forged");
        assert!((at - NOW_S).abs() <= 300, "stale");
        assert!(!repeated, "ambiguous");
        assert_eq!(verified.body(), &body);
    }
});
