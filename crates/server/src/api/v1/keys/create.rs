//! `POST /api/v1/keys`: make an API key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::access::{ApiKey, KEY_PREFIX, Scope};
use tautline_core::audit::AuditAction;
use tautline_core::{KeyId, SecretHash, TenantId, Timestamp, new_secret};
use utoipa::ToSchema;

use crate::api::v1::creating::{Creating, made_once};
use crate::app::App;
use crate::audit;
use crate::auth::{Platform, known_tenant};
use crate::error::{ApiError, ApiResult, ErrorBody};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// The tenant it is bound to; without one it is a platform key.
    #[schema(example = "acme")]
    tenant: Option<String>,
    /// What it may do: `read`, `send`, `manage`.
    #[schema(example = json!(["read", "send"]))]
    scopes: Vec<String>,
    /// When it ends by itself; RFC 3339. Without one it does not.
    #[schema(example = "2027-01-31T12:00:00Z")]
    expires_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedKey {
    #[schema(value_type = String, example = "key_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: KeyId,
    /// The key. Shown this once.
    #[schema(example = "tl_…")]
    key: String,
    tenant: Option<String>,
    scopes: Vec<&'static str>,
    /// RFC 3339; null for one that does not end by itself.
    expires_at: Option<String>,
}

/// Make an API key.
#[utoipa::path(
    post,
    path = "/api/v1/keys",
    tag = "keys",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body make nothing twice")),
    request_body = NewKey,
    responses(
        (status = 201, description = "The key, shown this once", body = CreatedKey),
        (status = 409, description = "The Idempotency-Key was used before", body = ErrorBody),
        (status = 400, description = "No such scope, or no time to come", body = ErrorBody),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "No such tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    platform: Platform,
    creating: Creating<NewKey>,
) -> ApiResult<(StatusCode, Json<CreatedKey>)> {
    let caller = platform.may(Scope::Manage)?;
    let (once, new) = (creating.key_of(&caller, "", app.clock.now()), creating.body);
    let scopes = new.scopes.iter().map(|name| scope(name)).collect::<ApiResult<Vec<_>>>()?;
    if scopes.is_empty() {
        return Err(ApiError::bad_request("scopes_empty", "a key without scopes could do nothing")
            .fix("give one or more of read, send, manage"));
    }
    let tenant = match new.tenant {
        None => None,
        Some(id) => Some(known_tenant(&app, &id).await?),
    };
    let secret = format!("{KEY_PREFIX}{}", new_secret(app.rng.as_ref()));
    let now = app.clock.now();
    let id = KeyId::generate(now, app.rng.as_ref());
    let names = scopes.iter().map(|scope| scope.as_str()).collect();
    let expires_at = new.expires_at.as_deref().map(|text| end(text, now)).transpose()?;
    let key = ApiKey { id, tenant: tenant.clone(), scopes, created_at: now, expires_at, last_used_at: None };
    made_once(app.store.key_store(key, SecretHash::of(&secret), once).await?)?;
    let owner = tenant.clone().unwrap_or_else(TenantId::home);
    audit::note(&app, &owner, caller.name, AuditAction::KeyMade, id).await;
    let (tenant, expires_at) = (tenant.map(|tenant| tenant.to_string()), expires_at.map(|at| at.to_string()));
    Ok((StatusCode::CREATED, Json(CreatedKey { id, key: secret, tenant, scopes: names, expires_at })))
}

fn end(text: &str, now: Timestamp) -> ApiResult<Timestamp> {
    let invalid = |error: &str| ApiError::bad_request("invalid_expires_at", error);
    let end: jiff::Timestamp = text
        .parse()
        .map_err(|_| invalid("expires_at is no time").fix("write it like 2027-01-31T12:00:00Z"))?;
    let end = Timestamp::from_micros(end.as_microsecond());
    if end <= now {
        return Err(invalid("expires_at is past").fix("name a time to come"));
    }
    Ok(end)
}

fn scope(name: &str) -> ApiResult<Scope> {
    let unknown = || ApiError::bad_request("unknown_scope", format!("there is no scope {name:?}"));
    Scope::from_name(name).ok_or_else(|| unknown().fix("the scopes are read, send, manage"))
}
