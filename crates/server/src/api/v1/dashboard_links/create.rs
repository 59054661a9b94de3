//! `POST …/dashboard-links`: make a link that signs somebody in at the dashboard.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::access::Scope;
use tautline_core::session::DashboardLink;
use tautline_core::{LinkId, SecretHash, limits, new_secret};
use utoipa::ToSchema;

use crate::api::v1::creating::{Creating, made_once};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiResult, ErrorBody};
use crate::installations::start::checked_return_to;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NewDashboardLink {
    /// Where it leads: a page of ours (not the API), or one of `TAUTLINE_RETURN_ORIGINS`; the dashboard's first page
    /// unless given.
    return_to: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedDashboardLink {
    #[schema(value_type = String)]
    id: LinkId,
    /// Whoever opens it first is signed in for this tenant, and may do what the key that made it may. Shown this once.
    url: String,
    /// RFC 3339. It works once, until then.
    expires_at: String,
}

/// Make a dashboard link.
#[utoipa::path(
    post,
    path = "/api/v1/dashboard-links",
    tag = "dashboard",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body make nothing twice")),
    request_body = NewDashboardLink,
    responses(
        (status = 201, description = "The link, shown this once", body = CreatedDashboardLink),
        (status = 409, description = "The Idempotency-Key was used before", body = ErrorBody),
        (status = 400, description = "return_to is not allowed", body = ErrorBody),
        (status = 404, description = "No such tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    creating: Creating<NewDashboardLink>,
) -> ApiResult<(StatusCode, Json<CreatedDashboardLink>)> {
    let (caller, tenant) = caller.may(Scope::Manage)?;
    let (once, new) = (creating.key_of(&caller, tenant.as_str(), app.clock.now()), creating.body);
    let return_to = checked_return_to(&app, new.return_to)?;
    if let Some(target) = &return_to
        && is_of_the_api(&app, target)
    {
        return Err(ApiError::bad_request(
            "return_to_refused",
            "return_to leads into the API, not to a page",
        )
        .fix("name a page, such as /channels/slack; connect-links lead to Slack's consent page"));
    }
    let (now, secret) = (app.clock.now(), new_secret(app.rng.as_ref()));
    let id = LinkId::generate(now, app.rng.as_ref());
    let expires_at = now.after(limits::DASHBOARD_LINK);
    let link = DashboardLink {
        id,
        tenant,
        scopes: caller.scopes,
        key: caller.key,
        return_to,
        single_use: true,
        expires_at,
    };
    made_once(app.store.dashboard_link_store(link, SecretHash::of(&secret), now, once).await?)?;
    let url = app.settings.public(&format!("/api/v1/dashboard-links/{secret}"));
    let body = CreatedDashboardLink { id, url: url.into(), expires_at: expires_at.to_string() };
    Ok((StatusCode::CREATED, Json(body)))
}

/// Whoever is sent a link and opens it shall see whose dashboard that is, before anything else happens.
fn is_of_the_api(app: &App, target: &str) -> bool {
    let url = app.settings.return_url(target);
    url.is_some_and(|url| url.origin() == app.settings.public_url.origin() && url.path().starts_with("/api/"))
}
