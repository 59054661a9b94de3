//! Calls to Slack from within, as an installation. The token is taken from the vault for the call, and is
//! never seen by the caller.

use std::sync::Arc;

use serde_json::Value;
use tautline_core::installation::CredentialKind;
use tautline_core::{InstallationId, TenantId};
use tautline_slack::WebApiCall;
use tautline_slack::web_api::Authorization;

use crate::app::App;

/// Makes Web API calls as one installation of one tenant.
pub struct SlackCalls {
    app: Arc<App>,
    tenant: Option<TenantId>,
    installation: Option<InstallationId>,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SlackCallError(String);

impl SlackCalls {
    pub(crate) fn new(app: Arc<App>, tenant: Option<TenantId>, installation: Option<InstallationId>) -> Self {
        Self { app, tenant, installation }
    }

    /// Calls a method; structured arguments are JSON text, as in Slack's forms.
    pub async fn call(
        &self,
        method: &'static str,
        form: Vec<(&'static str, String)>,
    ) -> Result<Value, SlackCallError> {
        let (Some(tenant), Some(installation)) = (&self.tenant, self.installation) else {
            let error = "there is no token for this workspace: connect it, or set SLACK_BOT_TOKEN";
            return Err(SlackCallError(error.to_owned()));
        };
        let token = self.app.store.installation_token(tenant, installation, CredentialKind::Bot).await;
        let token = token.map_err(|error| SlackCallError(crate::error::chain(&error)))?;
        let Some(token) = token else {
            return Err(SlackCallError("the installation has no bot token: connect it again".to_owned()));
        };
        let call = WebApiCall { method, authorization: Authorization::Bearer(token), form };
        let reply = self.app.slack.call(call).await;
        reply.map(|reply| reply.answer).map_err(|error| SlackCallError(error.to_string()))
    }
}
