use proptest::prelude::*;

use super::*;

/// The vector that Slack publishes. Its secret holds `y` and `z`: whoever decodes it as hex fails here.
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const TIMESTAMP: i64 = 1_531_420_618;
const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

fn secret(text: &str) -> SigningSecret {
    SigningSecret::new(text).unwrap()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn published() -> HeaderMap {
    headers(&[(TIMESTAMP_HEADER, &TIMESTAMP.to_string()), (SIGNATURE_HEADER, SIGNATURE)])
}

fn check(headers: &HeaderMap, now_s: i64) -> Result<(), SignatureError> {
    verify(&[secret(SECRET)], headers, Bytes::from_static(BODY.as_bytes()), now_s).map(drop)
}

#[test]
fn the_published_vector_verifies_and_is_what_we_sign() {
    assert_eq!(check(&published(), TIMESTAMP), Ok(()));
    assert_eq!(secret(SECRET).sign(TIMESTAMP, BODY.as_bytes()), SIGNATURE);
}

#[test]
fn the_window_is_300_s_both_ways() {
    for (offset, verdict) in [
        (300, Ok(())),
        (-300, Ok(())),
        (301, Err(SignatureError::Skewed { skew_s: -301 })),
        (-301, Err(SignatureError::Skewed { skew_s: 301 })),
    ] {
        assert_eq!(check(&published(), TIMESTAMP + offset), verdict, "now is {offset} s later");
    }
}

#[test]
fn any_secret_in_force_will_do_and_no_other() {
    let body = Bytes::from_static(BODY.as_bytes());
    let rolled = [secret("new"), secret(SECRET), secret("newer")];
    assert!(verify(&rolled, &published(), body.clone(), TIMESTAMP).is_ok());
    for others in [vec![secret("new")], vec![]] {
        let verdict = verify(&others, &published(), body.clone(), TIMESTAMP).unwrap_err();
        assert_eq!(verdict, SignatureError::Mismatch);
    }
    assert!(SigningSecret::new("").is_none(), "an empty secret is none");
}

#[test]
fn a_changed_body_is_refused() {
    let changed = Bytes::from(BODY.replace("roadrunner", "coyote"));
    let verdict = verify(&[secret(SECRET)], &published(), changed, TIMESTAMP).unwrap_err();
    assert_eq!(verdict, SignatureError::Mismatch);
}

#[test]
fn headers_that_are_missing_repeated_or_malformed_are_refused() {
    let ts = TIMESTAMP.to_string();
    let (t, s) = ((TIMESTAMP_HEADER, ts.as_str()), (SIGNATURE_HEADER, SIGNATURE));
    let upper = SIGNATURE.to_uppercase().replace("V0", "v0");
    let cases: &[(&str, HeaderMap, SignatureError)] = &[
        ("no headers", headers(&[]), SignatureError::Missing),
        ("no signature", headers(&[t]), SignatureError::Missing),
        ("no timestamp", headers(&[s]), SignatureError::Missing),
        ("signature twice", headers(&[t, s, s]), SignatureError::Malformed),
        ("timestamp twice", headers(&[t, t, s]), SignatureError::Malformed),
        ("another version", headers(&[t, (s.0, &SIGNATURE.replace("v0", "v1"))]), SignatureError::Malformed),
        ("no version", headers(&[t, (s.0, &SIGNATURE[3..])]), SignatureError::Malformed),
        ("too short", headers(&[t, (s.0, &SIGNATURE[..60])]), SignatureError::Malformed),
        ("too long", headers(&[t, (s.0, &format!("{SIGNATURE}00"))]), SignatureError::Malformed),
        ("uppercase", headers(&[t, (s.0, &upper)]), SignatureError::Malformed),
        ("empty signature", headers(&[t, (s.0, "")]), SignatureError::Malformed),
        ("signed timestamp", headers(&[(t.0, &format!("+{ts}")), s]), SignatureError::Malformed),
        ("fraction", headers(&[(t.0, &format!("{ts}.0")), s]), SignatureError::Malformed),
        ("empty timestamp", headers(&[(t.0, ""), s]), SignatureError::Malformed),
        ("beyond i64", headers(&[(t.0, "99999999999999999999"), s]), SignatureError::Malformed),
        ("spaces inside", headers(&[(t.0, "1531 420618"), s]), SignatureError::Malformed),
        // The text is signed, not its value: an added zero is another message.
        ("leading zero", headers(&[(t.0, &format!("0{ts}")), s]), SignatureError::Mismatch),
    ];
    for (name, headers, verdict) in cases {
        assert_eq!(check(headers, TIMESTAMP).unwrap_err(), *verdict, "{name}");
    }
}

#[test]
fn debug_shows_no_secret() {
    assert_eq!(format!("{:?}", secret("abc")), "SigningSecret(…)");
}

proptest! {
    #[test]
    fn what_we_sign_verifies_and_one_flipped_bit_does_not(
        body in prop::collection::vec(any::<u8>(), 0..300),
        at in 0_i64..4_000_000_000,
        flip in any::<prop::sample::Index>(),
    ) {
        let headers = headers(&[
            (TIMESTAMP_HEADER, &at.to_string()),
            (SIGNATURE_HEADER, &secret("s").sign(at, &body)),
        ]);
        prop_assert!(verify(&[secret("s")], &headers, Bytes::from(body.clone()), at).is_ok());
        if !body.is_empty() {
            let mut flipped = body.clone();
            flipped[flip.index(body.len())] ^= 1;
            prop_assert!(verify(&[secret("s")], &headers, Bytes::from(flipped), at).is_err());
        }
    }

    #[test]
    fn no_header_text_makes_it_panic(timestamp in "[ -~]{0,40}", signature in "[ -~]{0,80}") {
        let headers = headers(&[(TIMESTAMP_HEADER, &timestamp), (SIGNATURE_HEADER, &signature)]);
        prop_assert!(check(&headers, TIMESTAMP).is_err());
    }
}
