//! Who is calling, and whose data this is. The one door: a handler never reads a credential itself.

pub(crate) mod address;
mod claims;
mod credential;
mod failures;
mod issuer;
mod session;

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use tautline_core::TenantId;
use tautline_core::access::{Caller, Scope};

use crate::app::App;
use crate::error::{ApiError, ApiResult};
pub(crate) use credential::{Refused, caller};
pub(crate) use failures::Failures;
pub(crate) use issuer::Issuer;
pub(crate) use session::{SignedIn, Submitted};

/// Names the tenant in whose place a platform key acts.
pub(crate) const TENANT_HEADER: &str = "tautline-tenant";

/// A caller that showed a platform key.
pub(crate) struct Platform(Caller);

/// A caller, and the tenant whose things are looked at: its own, or for a platform key the one it names.
pub(crate) struct ForTenant {
    caller: Caller,
    pub(crate) tenant: TenantId,
}

/// A caller of either sort, before it is known whether a tenant is needed.
pub(crate) struct Anyone {
    caller: Caller,
    named: Option<String>,
}

impl Platform {
    /// Insists on a scope.
    pub(crate) fn may(self, scope: Scope) -> ApiResult<Caller> {
        require(self.0, scope)
    }
}

impl ForTenant {
    /// Insists on a scope.
    pub(crate) fn may(self, scope: Scope) -> ApiResult<(Caller, TenantId)> {
        require(self.caller, scope).map(|caller| (caller, self.tenant))
    }
}

impl Anyone {
    /// Insists on a scope.
    pub(crate) fn may(self, scope: Scope) -> ApiResult<Self> {
        Ok(Self { caller: require(self.caller, scope)?, ..self })
    }

    /// Who it is, for the record.
    pub(crate) fn name(&self) -> &str {
        &self.caller.name
    }

    /// Whether this is the platform itself.
    pub(crate) fn is_platform(&self) -> bool {
        self.caller.tenant.is_none()
    }

    /// The tenant whose things are looked at; none where a platform key names none, and means everybody's.
    pub(crate) async fn tenant_or_all(self, app: &App) -> ApiResult<Option<TenantId>> {
        if self.is_platform() && self.named.is_none() {
            return Ok(None);
        }
        Ok(Some(self.tenant(app).await?.tenant))
    }

    /// The tenant whose things are looked at.
    pub(crate) async fn tenant(self, app: &App) -> ApiResult<ForTenant> {
        let Self { caller, named } = self;
        let tenant = match (&caller.tenant, named) {
            (Some(own), None) => own.clone(),
            (Some(own), Some(named)) if own.as_str() == named => own.clone(),
            // Whether another tenant exists is none of this caller's business.
            (Some(_), Some(named)) => return Err(unknown_tenant(&named)),
            (None, Some(named)) => known_tenant(app, &named).await?,
            (None, None) => {
                return Err(ApiError::bad_request("tenant_required", "a platform key acts for a tenant")
                    .fix("name the tenant in the header Tautline-Tenant, or use the tenant's own key"));
            }
        };
        Ok(ForTenant { caller, tenant })
    }
}

fn unknown_tenant(id: &str) -> ApiError {
    ApiError::not_found("tenant_unknown", format!("there is no tenant {id:?}"))
}

/// A tenant that the platform names, if there is one.
pub(crate) async fn known_tenant(app: &App, id: &str) -> ApiResult<TenantId> {
    let parsed: TenantId = id.parse().map_err(|_| unknown_tenant(id))?;
    let tenant = app.store.tenant(&parsed).await?;
    tenant
        .map(|tenant| tenant.id)
        .ok_or_else(|| unknown_tenant(id).fix("make it known with POST /api/v1/tenants"))
}

fn require(caller: Caller, scope: Scope) -> ApiResult<Caller> {
    if caller.may(scope) {
        return Ok(caller);
    }
    let scope = scope.as_str();
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "scope_missing",
        format!("this key or token lacks the scope {scope:?}"),
    )
    .fix(format!("make a key whose scopes include {scope:?}; of tokens, those of an org's admin have all")))
}

/// The key of an `Authorization: Bearer …` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim()).filter(|key| !key.is_empty())
}

impl FromRequestParts<Arc<App>> for Anyone {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let unauthorized = |error: &str| {
            ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", error).fix(match app.settings.admin_key {
                Some(_) => {
                    "send a key as Authorization: Bearer …; a platform key makes them with POST /api/v1/keys"
                }
                None => "the gateway's operator: set TAUTLINE_ADMIN_KEY, the first key",
            })
        };
        let key = bearer(&parts.headers).ok_or_else(|| unauthorized("this needs an API key or a token"))?;
        let caller = caller(app, key, address::of(parts, &app.settings.trusted_proxies)).await?;
        let named = parts
            .headers
            .get(TENANT_HEADER)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        Ok(Self { caller, named })
    }
}

impl FromRequestParts<Arc<App>> for ForTenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        Anyone::from_request_parts(parts, app).await?.tenant(app).await
    }
}

impl FromRequestParts<Arc<App>> for Platform {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Anyone { caller, .. } = Anyone::from_request_parts(parts, app).await?;
        if caller.tenant.is_some() {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "platform_key_required",
                "this needs a platform key",
            )
            .fix("use TAUTLINE_ADMIN_KEY, or a key made without a tenant"));
        }
        Ok(Self(caller))
    }
}
