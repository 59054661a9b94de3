//! From a gateway key to whom it stands for.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use tautline_core::access::Scope;
use tautline_core::installation::Installation;
use tautline_core::{StoreResult, TenantId};
use tautline_slack::request::Origin;
use tautline_slack::{EnterpriseId, TeamId};

use super::refusal::{SlackShaped, refusal};
use super::workspace::{Meant, meant};
use crate::app::App;
use crate::auth;
use crate::installations::acting::Acting;

/// Whom a key stands for: `KEY`, or `KEY.T0123` where several workspaces are possible.
pub(super) async fn acting_for(
    app: &Arc<App>,
    credential: &str,
    headers: &HeaderMap,
    from: Option<IpAddr>,
) -> Result<Acting, SlackShaped> {
    let (key, place) = match credential.split_once('.') {
        Some((key, place)) => (key, Some(place)),
        None => (credential, None),
    };
    let caller = auth::caller(app, key, from).await?;
    if !caller.may(Scope::Send) {
        return Err(refusal("missing_scope", "this gateway key lacks the scope \"send\""));
    }
    let named_tenant = headers.get(auth::TENANT_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    if named_tenant.is_some() && caller.tenant.is_some() && caller.tenant != named_tenant {
        return Err(refusal("team_not_found", "the key is not of the tenant that Tautline-Tenant names"));
    }
    let installation = match (caller.tenant.as_ref().or(named_tenant.as_ref()), place) {
        (Some(tenant), place) => of_tenant(app, tenant, place).await?,
        (None, Some(place)) => named(app, place).await?.ok_or_else(no_such_place)?,
        (None, None) => {
            return Err(refusal(
                "invalid_auth",
                "a platform key names a workspace (KEY.T0123) or a tenant (the header Tautline-Tenant)",
            ));
        }
    };
    Ok(Acting::bot(app, &installation.tenant, installation.id))
}

fn no_such_place() -> SlackShaped {
    refusal("team_not_found", "the workspace that the key names is not connected")
}

async fn of_tenant(app: &App, tenant: &TenantId, place: Option<&str>) -> Result<Installation, SlackShaped> {
    match meant(app, tenant, place).await? {
        Meant::This(installation) => Ok(*installation),
        Meant::Unknown => Err(no_such_place()),
        Meant::None => Err(refusal("account_inactive", "this tenant has connected no workspace")),
        Meant::Several => {
            let error = "this tenant has several workspaces: write KEY.T0123 in place of the key";
            Err(refusal("team_not_found", error))
        }
    }
}

async fn named(app: &App, place: &str) -> StoreResult<Option<Installation>> {
    let mut origin = Origin::default();
    if place.starts_with('E') {
        origin.enterprise = Some(EnterpriseId::new(place));
    } else {
        origin.team = Some(TeamId::new(place));
    }
    Ok(app.store.installation_named(&origin).await?.map(Arc::unwrap_or_clone))
}
