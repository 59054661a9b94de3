//! `POST …/installations/import`: take installations over from another program.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tautline_core::access::Scope;
use tautline_core::{Tenant, TenantId, limits};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Platform;
use crate::error::{ApiError, ApiResult, ErrorBody};
use crate::installations::import::{Imported, Named, one};

/// What is to be taken over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Import {
    /// 100 at most; the rest in further calls.
    installations: Vec<ImportRow>,
    /// Only say what would become of them. Slack is asked all the same whether their tokens live.
    #[serde(default)]
    dry_run: bool,
    /// Make the tenants that are not known yet.
    #[serde(default)]
    make_tenants: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportRow {
    /// Whose it will be.
    #[schema(example = "acme")]
    tenant: String,
    /// As Bolt for JavaScript or for Python keeps it.
    #[schema(value_type = Object)]
    installation: Value,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ImportReport {
    /// In the order of the rows.
    results: Vec<ImportResult>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ImportResult {
    tenant: String,
    /// The workspace or org.
    #[schema(example = "T0123456789")]
    place: Option<String>,
    name: Option<String>,
    /// `imported` (in a dry run `importable`), `present` (the tenant has it, nothing was changed), `taken` (another tenant
    /// has it), `refused`, `later` (Slack did not answer: send it again).
    result: &'static str,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Take installations over from another program.
///
/// Each token is tried with `auth.test` first. What is here already is left as it is, so that the same rows may be sent again
/// after something broke off. The other program's tokens go on working until the gateway renews them, which ends the other's
/// copies; where an app rotates its tokens, those without an end are exchanged soon.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/installations/import",
    tag = "installations",
    request_body = Import,
    responses(
        (status = 200, description = "What became of each", body = ImportReport),
        (status = 400, description = "Too many rows", body = ErrorBody),
        (status = 403, description = "Not a platform key", body = ErrorBody),
    ),
)]
pub(crate) async fn import(
    State(app): State<Arc<App>>,
    platform: Platform,
    import: Result<Json<Import>, JsonRejection>,
) -> ApiResult<Json<ImportReport>> {
    let caller = platform.may(Scope::Manage)?;
    let Json(import) = import?;
    if import.installations.len() > limits::IMPORT_ROWS {
        let error =
            format!("{} rows are more than {} in one call", import.installations.len(), limits::IMPORT_ROWS);
        return Err(ApiError::bad_request("too_many_rows", error).fix("send them in parts"));
    }
    // A task of its own: a row that was begun is ended, even if whoever asked hangs up.
    let results = app.to_the_end(all(app.clone(), import, caller.name)).await?;
    Ok(Json(ImportReport { results }))
}

async fn all(app: Arc<App>, import: Import, actor: String) -> ApiResult<Vec<ImportResult>> {
    let Import { installations, dry_run, make_tenants } = import;
    let mut results = Vec::with_capacity(installations.len());
    for ImportRow { tenant, installation } in installations {
        let (named, imported) = match known(&app, &tenant, make_tenants, dry_run).await? {
            Ok(tenant) => one(&app, &tenant, &installation, dry_run, &actor).await?,
            Err(why) => (Named::default(), Imported::Refused(why)),
        };
        results.push(result(tenant, named, imported, dry_run));
    }
    Ok(results)
}

/// The tenant of a row; or why there is none.
async fn known(app: &App, id: &str, make: bool, is_dry: bool) -> ApiResult<Result<TenantId, String>> {
    let tenant: TenantId = match id.parse() {
        Ok(tenant) => tenant,
        Err(error) => return Ok(Err(format!("{id:?} is no tenant's id: {error}"))),
    };
    if tenant.is_home() {
        return Ok(Err("home has the workspace of SLACK_BOT_TOKEN, and is given no other".to_owned()));
    }
    if app.store.tenant(&tenant).await?.is_some() {
        return Ok(Ok(tenant));
    }
    if !make {
        return Ok(Err(format!("there is no tenant {id:?}: make it, or ask for make_tenants")));
    }
    if !is_dry {
        let new = Tenant { id: tenant.clone(), name: None, created_at: app.clock.now() };
        app.store.tenant_record(new, None).await?;
    }
    Ok(Ok(tenant))
}

fn result(tenant: String, named: Named, imported: Imported, is_dry: bool) -> ImportResult {
    let (result, error) = match imported {
        Imported::Done if is_dry => ("importable", None),
        Imported::Done => ("imported", None),
        Imported::Present => ("present", None),
        Imported::Taken => ("taken", Some("another tenant has it".to_owned())),
        Imported::Refused(why) => ("refused", Some(why)),
        Imported::Later(why) => ("later", Some(why)),
    };
    ImportResult { tenant, place: named.place, name: named.name, result, error }
}
