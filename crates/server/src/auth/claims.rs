//! What a token of the product's own identity provider says: whether it counts now and here, whose it is, what it allows.
//!
//! Providers agree on `iss`, `sub`, `exp`, `nbf`, `aud` and `azp`. Who somebody's org is, each says in its own way: Clerk in `o`
//! (version 2 of its tokens) or `org_id` (version 1). Source: clerk.com/docs, "Session tokens" and "Manual JWT verification".

use serde_json::Value;
use tautline_core::access::Scope;
use tautline_core::{TenantId, Timestamp, limits};

use crate::settings::Issuer;

/// A subject in a name: what is longer is cut.
const SUBJECT_CHARS: usize = 100;

/// What is known of somebody with a token that counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) subject: String,
    pub(super) tenant: TenantId,
    /// What the org is called, if the token says so.
    pub(super) org: Option<String>,
    pub(super) scopes: Vec<Scope>,
    pub(super) expires_at: Timestamp,
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("this token is not of the configured issuer")]
    Issuer,
    #[error("this token says no time at which it ends")]
    Endless,
    #[error("this token has expired")]
    Expired,
    #[error("this token is not good yet")]
    NotYet,
    #[error("this token is for another audience")]
    Audience,
    #[error("this token was made for another party (azp)")]
    Party,
    #[error("this session is pending: there is something left to do at the sign-in")]
    Pending,
    #[error("this token names no org, and so no tenant")]
    NoOrg,
    #[error("the org of this token cannot be a tenant: ids are 1 to 48 of A-Z a-z 0-9 _ -")]
    OddOrg,
}

impl Unfit {
    /// Whether it is good for somebody, though not for this.
    pub(crate) fn is_forbidden(self) -> bool {
        matches!(self, Self::NoOrg | Self::OddOrg | Self::Pending)
    }
}

/// Reads the claims of a token whose signature was checked.
pub(super) fn read(claims: &Value, issuer: &Issuer, now: Timestamp) -> Result<Person, Unfit> {
    if claims["iss"].as_str() != Some(issuer.issuer.as_str()) {
        return Err(Unfit::Issuer);
    }
    let skew_s = limits::ISSUER_SKEW.as_secs() as i64;
    let (now_s, expires_s) = (now.as_secs(), seconds(&claims["exp"]).ok_or(Unfit::Endless)?);
    if now_s >= expires_s.saturating_add(skew_s) {
        return Err(Unfit::Expired);
    }
    if seconds(&claims["nbf"]).is_some_and(|from| now_s.saturating_add(skew_s) < from) {
        return Err(Unfit::NotYet);
    }
    if !issuer.audience.is_empty() && !texts(&claims["aud"]).any(|one| issuer.audience.contains(&one)) {
        return Err(Unfit::Audience);
    }
    let is_party = |azp: &str| issuer.parties.iter().any(|party| party == azp);
    if !issuer.parties.is_empty() && !claims["azp"].as_str().is_some_and(is_party) {
        return Err(Unfit::Party);
    }
    if claims["sts"] == "pending" {
        return Err(Unfit::Pending);
    }
    let org = tenant_claim(claims, issuer.tenant_claim.as_deref()).ok_or(Unfit::NoOrg)?;
    let name = claims["o"]["slg"].as_str().or_else(|| claims["org_slug"].as_str());
    Ok(Person {
        subject: claims["sub"].as_str().unwrap_or("somebody").chars().take(SUBJECT_CHARS).collect(),
        tenant: org.parse().map_err(|_| Unfit::OddOrg)?,
        org: name.map(str::to_owned),
        scopes: scopes(claims),
        expires_at: Timestamp::from_micros(expires_s.saturating_mul(1_000_000)),
    })
}

fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| Some(value.as_f64()? as i64))
}

fn texts(value: &Value) -> impl Iterator<Item = String> + '_ {
    let one = value.as_str().into_iter();
    one.chain(value.as_array().into_iter().flatten().filter_map(Value::as_str)).map(str::to_owned)
}

/// By the configured name: of a claim as it stands (they may hold dots), else of one within others.
fn tenant_claim<'a>(claims: &'a Value, name: Option<&str>) -> Option<&'a str> {
    let found = match name {
        Some(name) => {
            claims.get(name).or_else(|| name.split('.').try_fold(claims, |within, part| within.get(part)))
        }
        None => claims.pointer("/o/id").or_else(|| claims.get("org_id")),
    };
    found?.as_str().filter(|org| !org.is_empty())
}

/// What a token allows: the scopes that it names (`tautline:read` …), else all to an org's admin, else to look.
fn scopes(claims: &Value) -> Vec<Scope> {
    let listed = texts(&claims["scope"]).chain(texts(&claims["scp"])).collect::<Vec<_>>();
    let named =
        listed.iter().flat_map(|list| list.split(' ')).filter_map(|scope| scope.strip_prefix("tautline:"));
    let named = named.filter_map(Scope::from_name).collect::<Vec<_>>();
    if !named.is_empty() {
        return named;
    }
    let role = claims.pointer("/o/rol").or_else(|| claims.get("org_role")).and_then(Value::as_str);
    let role = role.map(|role| role.strip_prefix("org:").unwrap_or(role));
    if matches!(role, Some("admin" | "owner")) { Scope::ALL.to_vec() } else { vec![Scope::Read] }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const NOW_S: i64 = 1_800_000_000;

    fn issuer() -> Issuer {
        Issuer {
            issuer: "https://clerk.example.com".into(),
            audience: Vec::new(),
            parties: vec!["https://app.example.com".into()],
            tenant_claim: None,
            provision: false,
        }
    }

    fn clerk(more: Value) -> Value {
        let mut claims = json!({
            "iss": "https://clerk.example.com", "sub": "user_1", "azp": "https://app.example.com",
            "exp": NOW_S + 60, "nbf": NOW_S - 10, "v": 2, "o": { "id": "org_1", "rol": "admin", "slg": "acme" },
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn unfit(more: Value) -> Option<Unfit> {
        read(&clerk(more), &issuer(), NOW).err()
    }

    #[test]
    fn both_versions_of_clerks_tokens_name_the_org() {
        let second = read(&clerk(json!({})), &issuer(), NOW).unwrap();
        let first =
            json!({ "o": null, "v": null, "org_id": "org_1", "org_role": "org:admin", "org_slug": "acme" });
        assert_eq!(read(&clerk(first), &issuer(), NOW).unwrap(), second);
        assert_eq!((second.tenant.as_str(), second.scopes), ("org_1", Scope::ALL.to_vec()));
        let member =
            read(&clerk(json!({ "o": { "id": "org_1", "rol": "member" } })), &issuer(), NOW).unwrap();
        assert_eq!(member.scopes, [Scope::Read]);
    }

    #[test]
    fn what_does_not_count_is_refused() {
        assert_eq!(unfit(json!({})), None);
        assert_eq!(unfit(json!({ "iss": "https://clerk.example.com/" })), Some(Unfit::Issuer));
        assert_eq!(unfit(json!({ "exp": null })), Some(Unfit::Endless));
        assert_eq!(unfit(json!({ "exp": NOW_S - 30 })), Some(Unfit::Expired));
        assert_eq!(unfit(json!({ "exp": NOW_S - 29 })), None, "clocks differ a little");
        assert_eq!(unfit(json!({ "nbf": NOW_S + 31 })), Some(Unfit::NotYet));
        assert_eq!(unfit(json!({ "nbf": NOW_S + 30 })), None);
        assert_eq!(unfit(json!({ "azp": "https://evil.example.com" })), Some(Unfit::Party));
        assert_eq!(unfit(json!({ "azp": null })), Some(Unfit::Party));
        assert_eq!(unfit(json!({ "sts": "pending" })), Some(Unfit::Pending));
        assert_eq!(unfit(json!({ "sts": "active" })), None);
        assert_eq!(unfit(json!({ "o": null })), Some(Unfit::NoOrg));
        assert_eq!(unfit(json!({ "o": { "id": "no spaces" } })), Some(Unfit::OddOrg));
        let audience = Issuer { audience: vec!["tautline".into()], ..issuer() };
        let of = |aud: Value| read(&clerk(json!({ "aud": aud })), &audience, NOW).err();
        assert_eq!(of(json!(["other", "tautline"])), None);
        assert_eq!(of(json!("tautline")), None);
        assert_eq!(of(json!("other")), Some(Unfit::Audience));
        assert_eq!(of(Value::Null), Some(Unfit::Audience));
    }

    #[test]
    fn other_issuers_name_the_tenant_and_the_scopes_in_claims_of_their_own() {
        let named = |name: &str, claims: Value| {
            let issuer = Issuer { tenant_claim: Some(name.into()), ..issuer() };
            read(&clerk(claims), &issuer, NOW).map(|person| (person.tenant.to_string(), person.scopes))
        };
        let flat = json!({ "https://example.com/tenant": "acme", "o": null, "scope": "openid tautline:send tautline:read" });
        let read_send = vec![Scope::Send, Scope::Read];
        assert_eq!(named("https://example.com/tenant", flat), Ok(("acme".into(), read_send)));
        let nested = json!({ "app": { "account": "acme" }, "o": null });
        assert_eq!(named("app.account", nested), Ok(("acme".into(), vec![Scope::Read])));
        assert_eq!(named("app.account", json!({})), Err(Unfit::NoOrg));
    }
}
