//! The headers of a proxied call and of its answer.

use http::{HeaderMap, HeaderName, header};

/// Headers of one hop, those that we set ourselves, and those that would tell Slack of our surroundings.
const NOT_PASSED_ON: [HeaderName; 15] = [
    header::HOST,
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_LENGTH,
    // Answers are looked into: whether they say that the token has ended.
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
    header::FORWARDED,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("true-client-ip"),
];

/// The headers that Slack gets. Those that one hop names as its own (`Connection: x`), `X-Forwarded-…` and ours
/// say nothing that Slack should know.
pub(super) fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let hop = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let hop =
        hop.flat_map(|list| list.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect::<Vec<_>>();
    let passes = |name: &HeaderName| {
        let text = name.as_str();
        !NOT_PASSED_ON.contains(name)
            && !hop.iter().any(|hop| hop == text)
            && !["x-forwarded-", "x-real-ip", "tautline-"].iter().any(|beginning| text.starts_with(beginning))
    };
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| passes(name)) {
        kept.append(name.clone(), value.clone());
    }
    kept
}

/// The headers that Slack's answer keeps.
pub(super) fn passed_back(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in NOT_PASSED_ON.iter().chain(&[header::SET_COOKIE]) {
        headers.remove(name);
    }
    headers
}
