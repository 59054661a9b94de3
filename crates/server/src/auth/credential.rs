//! From a credential to who shows it.

use std::net::IpAddr;
use std::time::Duration;

use http::StatusCode;
use subtle::ConstantTimeEq;
use tautline_core::access::{ApiKey, Caller, Scope, key_holder};
use tautline_core::{SecretHash, StoreError, StoreResult, Tenant, TenantId, Timestamp, limits};

use super::claims::{Person, Unfit};
use super::issuer::{Issuer, TokenError};
use crate::app::App;
use crate::error::{ApiError, chain};

/// Why a credential opens nothing.
pub(crate) enum Refused {
    /// It is nobody's.
    Unknown,
    /// A token that does not count.
    Token(TokenError),
    /// A good token, of an org that is no tenant.
    UnknownOrg(TenantId),
    /// Nobody's, as so many before it within the minute.
    TooMany { wait: Duration },
    /// It cannot be told.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Who shows a credential: an API key, or a token of the configured issuer. Failures are counted by the address it came from.
pub(crate) async fn caller(app: &App, credential: &str, from: Option<IpAddr>) -> Result<Caller, Refused> {
    let found = match &app.issuer {
        Some(issuer) if Issuer::could_be(credential) => by_token(app, issuer, credential).await,
        _ => by_key(app, credential).await?.ok_or(Refused::Unknown),
    };
    found.map_err(|refused| match refused {
        // A token that was good is no guess.
        Refused::Unknown
        | Refused::Token(
            TokenError::Unreadable
            | TokenError::Algorithm
            | TokenError::Signature
            | TokenError::Unfit(Unfit::Issuer | Unfit::Party | Unfit::Audience),
        ) => match app.failures.count(from, credential, app.clock.now()) {
            Some(wait) => Refused::TooMany { wait },
            None => refused,
        },
        refused => refused,
    })
}

async fn by_key(app: &App, key: &str) -> StoreResult<Option<Caller>> {
    let hash = SecretHash::of(key);
    // Hashes are compared, so the time taken tells nothing of the key.
    if app.settings.admin_key.is_some_and(|admin| admin.0.ct_eq(&hash.0).into()) {
        let name = "the platform's first key".to_owned();
        let scopes = Scope::ALL.to_vec();
        return Ok(Some(Caller { tenant: None, scopes, name, key: None, expires_at: None }));
    }
    let now = app.clock.now();
    let key = app.store.key(hash).await?.filter(|key| key.expires_at.is_none_or(|end| now < end));
    let Some(key) = key else { return Ok(None) };
    note_use(app, &key, now);
    let ApiKey { id, tenant, scopes, expires_at, .. } = key;
    Ok(Some(Caller { tenant, scopes, name: key_holder(id), key: Some(id), expires_at }))
}

/// Beside the call: nobody waits for it, and now and then is enough.
fn note_use(app: &App, key: &ApiKey, now: Timestamp) {
    if key.last_used_at.is_some_and(|at| now.since(at) < limits::KEY_USE_NOTED) {
        return;
    }
    let (store, id) = (app.store.clone(), key.id);
    app.tasks.spawn(async move {
        if let Err(error) = store.key_used(id, now).await {
            tracing::warn!(key = %id, error = %chain(&error), "it is not on record that a key was used");
        }
    });
}

async fn by_token(app: &App, issuer: &Issuer, token: &str) -> Result<Caller, Refused> {
    let now = app.clock.now();
    let person = issuer.person(token, now).await.map_err(Refused::Token)?;
    let Person { subject, tenant, org, scopes, expires_at } = person;
    // The company's own things are for platform keys.
    let is_known = !tenant.is_home() && app.store.tenant(&tenant).await?.is_some();
    if !is_known {
        if tenant.is_home() || !issuer.provisions() {
            return Err(Refused::UnknownOrg(tenant));
        }
        let new = Tenant { id: tenant.clone(), name: org, created_at: now };
        app.store.tenant_record(new, None).await?;
        tracing::info!(%tenant, "an org of the issuer's became a tenant");
    }
    let name = format!("the user {subject}");
    Ok(Caller { tenant: Some(tenant), scopes, name, key: None, expires_at: Some(expires_at) })
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let unauthorized = |code, error: String| Self::new(StatusCode::UNAUTHORIZED, code, error);
        match refused {
            Refused::Unknown => unauthorized("unauthorized", "this API key is unknown".to_owned()).fix(
                "send a key as Authorization: Bearer …; a platform key makes them with POST /api/v1/keys",
            ),
            Refused::Token(TokenError::Unfit(unfit)) if unfit.is_forbidden() => {
                Self::new(StatusCode::FORBIDDEN, "token_without_tenant", unfit.to_string())
                    .fix("choose an organization at the sign-in, and finish what it asks for")
            }
            Refused::Token(error @ TokenError::Keys(_)) => {
                tracing::error!(error = %chain(&error), "tokens cannot be verified");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "issuer_unreachable", error.to_string())
                    .fix("try again; the gateway's operator: check TAUTLINE_AUTH_ISSUER")
            }
            Refused::Token(error) => unauthorized("token_refused", error.to_string())
                .fix("get a fresh token from the product's sign-in, made for this gateway"),
            Refused::UnknownOrg(org) => {
                let error = format!("the org {:?} is no tenant here", org.as_str());
                Self::new(StatusCode::FORBIDDEN, "org_unknown", error)
                    .fix("the gateway's operator: POST /api/v1/tenants, or set TAUTLINE_AUTH_PROVISION=1")
            }
            Refused::TooMany { wait } => {
                let error = "too many wrong credentials from here, or of this one";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", error)
                    .retry_after(wait)
                    .fix("wait, and use a right one: that passes at once")
            }
            Refused::Store(error) => error.into(),
        }
    }
}
