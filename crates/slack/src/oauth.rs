//! OAuth v2 as Slack speaks it: the authorize URL, the exchange of a code, its answer.

use serde::Deserialize;
use url::Url;

use crate::web_api::{Authorization, WebApiCall};
use crate::{AppId, EnterpriseId, TeamId, Token, below};

/// The app's own credentials.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client id: public.
    pub id: String,
    /// The client secret.
    pub secret: Token,
}

/// The page on which a workspace's admin consents. `slack` is Slack's base URL.
pub fn authorize_url(
    slack: &Url,
    client_id: &str,
    scopes: &[String],
    redirect_uri: &str,
    state: &str,
) -> Url {
    let mut url = below(slack, "oauth/v2/authorize");
    url.query_pairs_mut()
        .clear()
        .append_pair("client_id", client_id)
        .append_pair("scope", &scopes.join(","))
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("state", state);
    url
}

/// Exchanges a code for tokens. A code lives ten minutes and is good for one exchange; the redirect URI must
/// be the very one the authorize URL had.
pub fn access(client: &Client, code: &str, redirect_uri: &str) -> WebApiCall {
    WebApiCall {
        method: "oauth.v2.access",
        authorization: Authorization::Basic { id: client.id.clone(), secret: client.secret.clone() },
        form: vec![("code", code.to_owned()), ("redirect_uri", redirect_uri.to_owned())],
    }
}

/// Renews a token. A refresh token is good for one use; used again within a short grace it gives another pair, and which
/// of the two lasts Slack does not say. Source: docs.slack.dev, authentication/using-token-rotation.
pub fn refresh(client: &Client, refresh_token: &Token) -> WebApiCall {
    WebApiCall {
        method: "oauth.v2.access",
        authorization: Authorization::Basic { id: client.id.clone(), secret: client.secret.clone() },
        form: vec![
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", refresh_token.expose().to_owned()),
        ],
    }
}

/// Exchanges a token without an end for one that is renewed: of an app for which token rotation was switched on since. A
/// token can be exchanged once; the old one works until the new one is first renewed.
pub fn exchange(client: &Client, token: &Token) -> WebApiCall {
    WebApiCall {
        method: "oauth.v2.exchange",
        authorization: Authorization::Basic { id: client.id.clone(), secret: client.secret.clone() },
        form: vec![("token", token.expose().to_owned())],
    }
}

/// The answer to [`refresh`] and to [`exchange`]. That of a user's token stands at the top as well.
#[derive(Clone, Debug, Deserialize)]
pub struct Renewed {
    /// The new token.
    pub access_token: Token,
    /// What renews the new one.
    pub refresh_token: Token,
    /// Seconds the new token lives.
    pub expires_in: i64,
}

/// The answer of `oauth.v2.access` to an install.
#[derive(Clone, Debug, Deserialize)]
pub struct Access {
    /// The bot token; absent when only a user token was granted.
    pub access_token: Option<Token>,
    /// What the bot was granted: all of it, not only what was new.
    #[serde(default)]
    pub scope: String,
    /// The bot's user.
    pub bot_user_id: Option<String>,
    /// The app.
    pub app_id: AppId,
    /// The workspace; null for an org-wide installation.
    pub team: Option<Named<TeamId>>,
    /// The org; null outside Enterprise Grid.
    pub enterprise: Option<Named<EnterpriseId>>,
    /// Whether the app was installed in the org as a whole.
    #[serde(default)]
    pub is_enterprise_install: bool,
    /// Seconds the access token lives; only with token rotation.
    pub expires_in: Option<i64>,
    /// What renews the access token; only with token rotation.
    pub refresh_token: Option<Token>,
    /// Who consented.
    pub authed_user: Option<AuthedUser>,
    /// The webhook that came with the scope `incoming-webhook`.
    pub incoming_webhook: Option<IncomingWebhook>,
}

/// Something with an id and, mostly, a name.
#[derive(Clone, Debug, Deserialize)]
pub struct Named<Id> {
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: Option<String>,
}

/// Who consented, with a token of their own if user scopes were asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct AuthedUser {
    /// The user.
    pub id: String,
    /// The user's token.
    pub access_token: Option<Token>,
    /// What renews the user's token.
    pub refresh_token: Option<Token>,
    /// Seconds the user's token lives.
    pub expires_in: Option<i64>,
}

/// A webhook granted with the installation. Its URL is a credential.
#[derive(Clone, Debug, Deserialize)]
pub struct IncomingWebhook {
    /// The URL to post to.
    pub url: Token,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authorize_url_carries_the_four_parameters() {
        let slack = Url::parse("https://slack.com").unwrap();
        let url = authorize_url(&slack, "1.2", &["a".into(), "b:c".into()], "https://x/cb", "s.t");
        assert_eq!(
            url.as_str(),
            "https://slack.com/oauth/v2/authorize?client_id=1.2&scope=a%2Cb%3Ac&redirect_uri=https%3A%2F%2Fx%2Fcb&state=s.t"
        );
    }

    #[test]
    fn a_refresh_shows_its_token_to_slack_alone() {
        let client = Client { id: "1.2".into(), secret: Token::new("secret") };
        let call = refresh(&client, &Token::new("xoxe-1-old"));
        assert_eq!(call.form[1], ("refresh_token", "xoxe-1-old".to_owned()));
        let answer = r#"{"ok":true,"access_token":"xoxe.xoxb-1-new","refresh_token":"xoxe-1-new","expires_in":43201,
                         "token_type":"bot","team":{"id":"T1"},"authed_user":{"id":"U1"}}"#;
        let renewed: Renewed = serde_json::from_str(answer).unwrap();
        assert_eq!((renewed.access_token.expose(), renewed.expires_in), ("xoxe.xoxb-1-new", 43_201));
        assert!(!format!("{renewed:?}").contains("xox"));
    }

    #[test]
    fn an_org_wide_answer_has_no_team() {
        let access: Access = serde_json::from_str(
            r#"{"ok":true,"app_id":"A1","access_token":"xoxb-1","scope":"a,b","team":null,
                "enterprise":{"id":"E1","name":"Org"},"is_enterprise_install":true,"authed_user":{"id":"U1"}}"#,
        )
        .unwrap();
        assert!(access.team.is_none() && access.is_enterprise_install);
        assert!(!format!("{access:?}").contains("xoxb"), "no token in debug output");
    }
}
