//! Which installation a request is for.
//!
//! The outer `team_id` of an event is where it *occurred*, which in a shared channel is somebody else's
//! workspace; the team of a submitted modal is the *clicker's*. Slack names the installation elsewhere, and
//! only that counts. Sources: captures in the official SDKs' tests; java-slack-sdk#629, bolt-js#687.

use std::fmt;

use serde_json::Value;

use super::text;
use crate::{AppId, EnterpriseId, TeamId};

/// The installation that Slack names in a request, as far as it names one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The app; absent in some legacy payloads.
    pub app: Option<AppId>,
    /// The workspace it is installed in; null for org-wide installations.
    pub team: Option<TeamId>,
    /// The org, where there is one.
    pub enterprise: Option<EnterpriseId>,
    /// Slack says that the app is installed in the org as a whole.
    pub is_enterprise_install: bool,
    /// The workspace in which the app is used, where Slack names the org of whoever acts and not surely ours: then the
    /// org counts only if its installation was granted this workspace.
    pub granted: Option<TeamId>,
}

/// The unique name of an installation: `A…/T…`, or org-wide `A…/E…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstallKey {
    app: AppId,
    place: String,
}

impl InstallKey {
    /// The app in one workspace.
    pub fn workspace(app: &AppId, team: &TeamId) -> Self {
        Self { app: app.clone(), place: team.as_str().to_owned() }
    }

    /// The app in a whole org.
    pub fn org(app: &AppId, enterprise: &EnterpriseId) -> Self {
        Self { app: app.clone(), place: enterprise.as_str().to_owned() }
    }
}

impl fmt::Display for InstallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.place)
    }
}

impl Origin {
    /// The ids of the places to look for an installation, in the order of looking: by org when Slack says so
    /// or names no team, else by team, then by org.
    pub fn places(&self) -> Vec<&str> {
        let team = self.team.as_ref().filter(|_| !self.is_enterprise_install).map(TeamId::as_str);
        team.into_iter().chain(self.enterprise.as_ref().map(EnterpriseId::as_str)).collect()
    }

    pub(super) fn of_event(json: &Value) -> Self {
        // `authorizations` is cut to one entry. Where it is absent or empty (lifecycle events) the outer
        // fields are all there is.
        let place = json.pointer("/authorizations/0").filter(|entry| entry.is_object()).unwrap_or(json);
        Self {
            app: text(json, "/api_app_id").map(AppId::new),
            team: text(place, "/team_id").map(TeamId::new),
            enterprise: text(place, "/enterprise_id").map(EnterpriseId::new),
            is_enterprise_install: is_true(place.get("is_enterprise_install")),
            granted: None,
        }
    }

    pub(super) fn of_command(
        app: Option<&str>,
        team: Option<&str>,
        org: Option<&str>,
        org_wide: bool,
    ) -> Self {
        let filled = |text: &&str| !text.is_empty();
        Self {
            app: app.filter(filled).map(AppId::new),
            team: team.filter(filled).map(TeamId::new),
            enterprise: org.filter(filled).map(EnterpriseId::new),
            is_enterprise_install: org_wide,
            granted: None,
        }
    }

    pub(super) fn of_interaction(json: &Value) -> Self {
        let app = text(json, "/api_app_id").or_else(|| text(json, "/view/app_id")).map(AppId::new);
        let org_wide = is_true(json.get("is_enterprise_install"));
        let acting_team = text(json, "/team/id").or_else(|| text(json, "/user/team_id"));
        let acting_org = text(json, "/enterprise/id").or_else(|| text(json, "/team/enterprise_id"));
        // A modal says itself where its app is installed. Submitted from another org in a shared channel,
        // every other team and enterprise in the payload is the submitter's, not ours.
        let Some(installed) = text(json, "/view/app_installed_team_id") else {
            return Self::at(app, acting_team, acting_org, org_wide);
        };
        if acting_team.is_none_or(|team| team == installed) || is_org(installed) {
            return Self::at(app, Some(installed), acting_org, org_wide);
        }
        // Of an org-wide installation people of any of the org's workspaces make use, and Slack names no team. Whether
        // the org it names is ours or that of a stranger in a shared channel, the payload does not tell.
        if org_wide && text(json, "/team/id").is_none() && acting_org.is_some() {
            let granted = Some(TeamId::new(installed));
            return Self { granted, ..Self::at(app, None, acting_org, true) };
        }
        Self::at(app, Some(installed), None, org_wide)
    }

    /// Slack sometimes puts an org's id into a team's field; the letter tells them apart.
    fn at(app: Option<AppId>, team: Option<&str>, org: Option<&str>, org_wide: bool) -> Self {
        let (team, org) = match team {
            Some(id) if is_org(id) => (None, Some(id)),
            team => (team, org),
        };
        let enterprise = org.map(EnterpriseId::new);
        // Without an org to look under, the claim could only lead to no installation at all.
        let is_enterprise_install = org_wide && enterprise.is_some();
        Self { app, team: team.map(TeamId::new), enterprise, is_enterprise_install, granted: None }
    }
}

fn is_org(id: &str) -> bool {
    id.starts_with('E')
}

/// Commands send the word, everything else the truth value; take either everywhere.
fn is_true(value: Option<&Value>) -> bool {
    matches!(value, Some(Value::Bool(true))) || value.and_then(Value::as_str) == Some("true")
}
