//! Installations as Bolt keeps them: the JSON of Bolt for JavaScript (nested, in camel case), and that of Bolt for Python, whose
//! tables and files have the same flat fields. Sources: `@slack/oauth` (`Installation`), `slack_sdk.oauth.installation_store`.

use serde_json::Value;
use tautline_core::Timestamp;
use tautline_core::installation::{Credential, CredentialKind, Facts};
use tautline_slack::{AppId, EnterpriseId, TeamId, Token, scopes};

/// What a row holds.
pub(super) struct Row {
    /// Without the app's id where the row has none.
    pub(super) facts: Facts,
    /// The bot's first.
    pub(super) credentials: Vec<Credential>,
}

/// Reads a row. The error says which field is wrong, and repeats nothing of it: it may be a token.
pub(super) fn read(row: &Value) -> Result<Row, String> {
    let Value::Object(_) = row else { return Err("the installation is no JSON object".to_owned()) };
    let row = Fields(row);
    if row.text(&["/authVersion"]).is_some_and(|version| version == "v1") {
        return Err("it is of Slack's old OAuth (v1); connect the workspace anew".to_owned());
    }
    let team = row.text(&["/team/id", "/team_id"]);
    let enterprise = row.text(&["/enterprise/id", "/enterprise_id"]);
    let is_enterprise_install = row.flag(&["/isEnterpriseInstall", "/is_enterprise_install"]);
    let facts = Facts {
        app: AppId::new(row.text(&["/appId", "/app_id"]).unwrap_or_default()),
        team: team.filter(|_| !is_enterprise_install).map(TeamId::new),
        team_name: row.text(&["/team/name", "/team_name"]).map(str::to_owned),
        enterprise: enterprise.map(EnterpriseId::new),
        enterprise_name: row.text(&["/enterprise/name", "/enterprise_name"]).map(str::to_owned),
        is_enterprise_install,
        scopes: row.scopes(&["/bot/scopes", "/bot_scopes"]),
        bot_user_id: row.text(&["/bot/userId", "/bot_user_id"]).map(str::to_owned),
        bot_id: row.text(&["/bot/id", "/bot_id"]).map(str::to_owned),
    };
    if facts.key().is_err() || (is_enterprise_install && facts.enterprise.is_none()) {
        return Err("it names neither a workspace (team) nor an org (enterprise)".to_owned());
    }
    let bot = row.credential(
        CredentialKind::Bot,
        ["/bot/token", "/bot_token"],
        ["/bot/refreshToken", "/bot_refresh_token"],
        ["/bot/expiresAt", "/bot_token_expires_at"],
    )?;
    let bot = bot.ok_or("it has no bot token")?;
    let user = row.credential(
        CredentialKind::User,
        ["/user/token", "/user_token"],
        ["/user/refreshToken", "/user_refresh_token"],
        ["/user/expiresAt", "/user_token_expires_at"],
    )?;
    let webhook = row.text(&["/incomingWebhook/url", "/incoming_webhook_url"]).map(|url| Credential {
        kind: CredentialKind::IncomingWebhook,
        token: Token::new(url),
        refresh_token: None,
        expires_at: None,
    });
    Ok(Row { facts, credentials: [Some(bot), user, webhook].into_iter().flatten().collect() })
}

struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    fn first(&self, pointers: &[&str]) -> Option<&'a Value> {
        pointers.iter().find_map(|pointer| self.0.pointer(pointer)).filter(|value| !value.is_null())
    }

    fn text(&self, pointers: &[&str]) -> Option<&'a str> {
        self.first(pointers)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// Databases without a type for it write 0 and 1.
    fn flag(&self, pointers: &[&str]) -> bool {
        let value = self.first(pointers);
        value.is_some_and(|value| *value == true || *value == 1 || *value == "true" || *value == "1")
    }

    fn scopes(&self, pointers: &[&str]) -> Vec<String> {
        match self.first(pointers) {
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Some(Value::String(list)) => scopes::parse(list),
            _ => Vec::new(),
        }
    }

    fn credential(
        &self,
        kind: CredentialKind,
        token: [&str; 2],
        refresh_token: [&str; 2],
        expires_at: [&str; 2],
    ) -> Result<Option<Credential>, String> {
        let Some(token) = self.text(&token) else { return Ok(None) };
        let expires_at = self.first(&expires_at).map(|value| {
            time(value).ok_or_else(|| format!("{} is no time", expires_at[1].trim_start_matches('/')))
        });
        Ok(Some(Credential {
            kind,
            token: Token::new(token),
            refresh_token: self.text(&refresh_token).map(Token::new),
            expires_at: expires_at.transpose()?,
        }))
    }
}

/// Seconds since 1970, or a date and time; one without a zone is UTC, as SQLAlchemy stores it.
fn time(value: &Value) -> Option<Timestamp> {
    let seconds = |seconds: f64| {
        // Beyond what a float tells apart no token lives.
        (0.0..1e11).contains(&seconds).then(|| Timestamp::from_micros((seconds * 1e6) as i64))
    };
    if let Some(number) = value.as_f64() {
        return seconds(number);
    }
    let text = value.as_str()?.trim();
    if let Ok(number) = text.parse() {
        return seconds(number);
    }
    let zoned = text.parse::<jiff::Timestamp>().ok();
    let utc = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let at = zoned.or_else(|| Some(utc()?.timestamp()))?;
    Some(Timestamp::from_micros(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Its kind, its token, whether it can be renewed, and when it ends.
    type Told = (&'static str, String, bool, Option<i64>);

    fn told(row: &Row) -> (String, Vec<Told>) {
        let credentials = row.credentials.iter().map(|credential| {
            let seconds = credential.expires_at.map(Timestamp::as_secs);
            (
                credential.kind.as_str(),
                credential.token.expose().to_owned(),
                credential.refresh_token.is_some(),
                seconds,
            )
        });
        (row.facts.key().unwrap().to_string(), credentials.collect())
    }

    #[test]
    fn bolts_two_forms_say_the_same() {
        let js = json!({
            "team": { "id": "T1", "name": "Acme" }, "enterprise": { "id": "E1", "name": "Org" },
            "user": { "id": "U1", "token": "xoxp-1", "scopes": ["search:read"] },
            "bot": { "scopes": ["commands", "chat:write"], "token": "xoxb-1", "userId": "UB", "id": "B1",
                     "refreshToken": "xoxe-1", "expiresAt": 1_800_000_000 },
            "incomingWebhook": { "url": "https://hooks.slack.com/services/1" },
            "appId": "A1", "authVersion": "v2", "tokenType": "bot", "isEnterpriseInstall": false,
        });
        let python = json!({
            "id": 7, "client_id": "1.2", "app_id": "A1", "enterprise_id": "E1", "enterprise_name": "Org",
            "team_id": "T1", "team_name": "Acme", "bot_token": "xoxb-1", "bot_id": "B1", "bot_user_id": "UB",
            "bot_scopes": "commands,chat:write", "bot_refresh_token": "xoxe-1",
            "bot_token_expires_at": "2027-01-15 08:00:00.000000", "user_id": "U1", "user_token": "xoxp-1",
            "user_refresh_token": null, "incoming_webhook_url": "https://hooks.slack.com/services/1",
            "is_enterprise_install": 0, "installed_at": "2026-01-01 00:00:00",
        });
        let (js, python) = (read(&js).unwrap(), read(&python).unwrap());
        assert_eq!(told(&js), told(&python));
        assert_eq!(js.facts, python.facts);
        let (key, credentials) = told(&js);
        assert_eq!(key, "A1/T1");
        assert_eq!(credentials[0], ("bot", "xoxb-1".into(), true, Some(1_800_000_000)));
        assert_eq!(
            credentials.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(),
            ["bot", "user", "incoming_webhook"]
        );
    }

    #[test]
    fn an_org_is_one_whatever_workspace_the_row_names() {
        let row = json!({ "app_id": "A1", "enterprise_id": "E1", "team_id": "T1", "bot_token": "xoxb-1",
                          "is_enterprise_install": true });
        assert_eq!(told(&read(&row).unwrap()).0, "A1/E1");
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let wrong = |row: Value| read(&row).err().unwrap();
        assert!(wrong(json!([])).contains("no JSON object"));
        assert!(wrong(json!({ "bot_token": "xoxb-1" })).contains("neither a workspace"));
        assert!(wrong(json!({ "team_id": "T1" })).contains("no bot token"));
        assert!(wrong(json!({ "team_id": "T1", "authVersion": "v1" })).contains("v1"));
        let error = wrong(json!({ "team_id": "T1", "bot_token": "xoxb-1", "bot_token_expires_at": "soon" }));
        assert_eq!(error, "bot_token_expires_at is no time");
    }
}
