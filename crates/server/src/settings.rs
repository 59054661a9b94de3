//! What the server is told before it starts. Where it comes from (the environment, a test) is not its concern.

use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use tautline_core::SecretHash;
use tautline_core::limits;
use tautline_core::pace::Paces;
use tautline_slack::signing::SigningSecret;
use tautline_slack::{Token, oauth};
use url::{Origin, Url};

/// The server's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where people and Slack reach this server.
    pub public_url: Url,
    /// Slack's base URL.
    pub slack_url: Url,
    /// The secrets that Slack may sign with. None: inbound is off.
    pub signing_secrets: Vec<SigningSecret>,
    /// Every signed request is the company's own: it runs one workspace, without OAuth.
    pub single_workspace: bool,
    /// Whether workspaces can be connected.
    pub oauth: OAuth,
    /// What the bot asks for.
    pub bot_scopes: Vec<String>,
    /// Where Slack sends people back to.
    pub redirect_uri: Url,
    /// Where `return_to` may point, besides our own origin.
    pub return_origins: Vec<Origin>,
    /// The hash of the first platform key.
    pub admin_key: Option<SecretHash>,
    /// Whose tokens are taken beside API keys.
    pub issuer: Option<Issuer>,
    /// Proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Vec<IpNet>,
    /// The company's own workspace.
    pub bot_token: Option<Token>,
    /// The product's Bolt app that gets everything.
    pub forward: Option<Forward>,
    /// How fast messages go to Slack.
    pub paces: Paces,
    /// The incoming webhook for operational alerts. A secret.
    pub ops_webhook: Option<SecretString>,
    /// Limits that tests bring nearer.
    pub tuning: Tuning,
}

/// The issuer of the product's own tokens (JWTs): an OpenID provider, Clerk among them.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its `iss`, as it stands in tokens; a URL.
    pub issuer: String,
    /// Audiences (`aud`) of which a token must name one; none: not looked at.
    pub audience: Vec<String>,
    /// Parties (`azp`) of which a token must name one; none: not looked at.
    pub parties: Vec<String>,
    /// The claim that names the tenant; `None`: Clerk's.
    pub tenant_claim: Option<String>,
    /// Whether orgs that are not known yet become tenants.
    pub provision: bool,
}

/// Whether workspaces can be connected.
#[derive(Clone, Debug)]
pub enum OAuth {
    /// They can, with this app's credentials.
    On(oauth::Client),
    /// They cannot, and this is what to set.
    Off {
        /// What to do, naming the variables.
        fix: String,
    },
}

/// An app of the product that speaks Slack's own protocol.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Its URL.
    pub url: Url,
    /// What requests to it are signed with.
    pub secret: SigningSecret,
}

/// Limits that tests bring nearer.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// See [`limits::COMMIT_BUDGET`].
    pub commit_budget: Duration,
    /// See [`limits::HOLD`].
    pub hold: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { commit_budget: limits::COMMIT_BUDGET, hold: limits::HOLD }
    }
}

impl Settings {
    /// Whether pages are served over TLS, as far as browsers see.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// Whether the Slack behind this gateway is one on somebody's desk.
    pub(crate) fn is_simulated(&self) -> bool {
        self.slack_url.scheme() == "http"
    }

    /// A URL of ours as the outside sees it.
    pub(crate) fn public(&self, path: &str) -> Url {
        tautline_slack::below(&self.public_url, path.trim_start_matches('/'))
    }

    /// The whole address that a `return_to` means, if somebody may be sent there: to our own origin, or to an
    /// allowed one. From here on only this address counts, so that nobody reads the text in another way.
    pub(crate) fn return_url(&self, target: &str) -> Option<Url> {
        let url =
            self.public_url.join(target).ok().filter(|url| url.as_str().len() <= limits::RETURN_TO_BYTES)?;
        let origin = url.origin();
        let allowed = origin == self.public_url.origin() || self.return_origins.contains(&origin);
        (allowed && matches!(url.scheme(), "http" | "https")).then_some(url)
    }
}
