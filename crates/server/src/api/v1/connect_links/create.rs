//! `POST …/connect-links`: make a link with which a tenant's admin connects a workspace.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::connect::ConnectLink;
use tautline_core::{LinkId, limits};
use tautline_core::{SecretHash, new_secret};
use utoipa::ToSchema;

use crate::api::v1::creating::{Creating, made_once};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiResult, ErrorBody};
use crate::installations::start::{checked_return_to, client};

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewConnectLink {
    /// Where to go afterwards: our own origin, or one of `TAUTLINE_RETURN_ORIGINS`.
    return_to: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedConnectLink {
    #[schema(value_type = String)]
    id: LinkId,
    /// Whoever opens it can connect a workspace to this tenant. Shown this once.
    url: String,
    /// RFC 3339. A successful connect ends the link before.
    expires_at: String,
}

/// Make a connect link.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/connect-links",
    tag = "installations",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body make nothing twice")),
    request_body = NewConnectLink,
    responses(
        (status = 201, description = "The link, shown this once", body = CreatedConnectLink),
        (status = 409, description = "The Idempotency-Key was used before", body = ErrorBody),
        (status = 400, description = "return_to is not allowed", body = ErrorBody),
        (status = 404, description = "No such tenant", body = ErrorBody),
        (status = 503, description = "OAuth is off", body = ErrorBody),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    creating: Creating<NewConnectLink>,
) -> ApiResult<(StatusCode, Json<CreatedConnectLink>)> {
    let (caller, tenant) = caller.may(Scope::Manage)?;
    let (once, new) = (creating.key_of(&caller, tenant.as_str(), app.clock.now()), creating.body);
    client(&app)?;
    let return_to = checked_return_to(&app, new.return_to)?;
    let (now, secret) = (app.clock.now(), new_secret(app.rng.as_ref()));
    let id = LinkId::generate(now, app.rng.as_ref());
    let expires_at = now.after(limits::CONNECT_LINK);
    let link = ConnectLink { id, tenant, key: caller.key, return_to, expires_at };
    made_once(app.store.connect_link_store(link, SecretHash::of(&secret), now, once).await?)?;
    let url = app.settings.public(&format!("/api/v1/integrations/slack/connect-links/{secret}"));
    let body = CreatedConnectLink { id, url: url.into(), expires_at: expires_at.to_string() };
    Ok((StatusCode::CREATED, Json(body)))
}
