//! What `tautline serve` is told by its environment.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use tautline_server::core::pace::{Paces, Rule};
use tautline_server::core::{SecretHash, SystemRng, limits};
use tautline_server::slack::signing::SigningSecret;
use tautline_server::slack::{Token, oauth, scopes};
use tautline_server::{CALLBACK_PATH, Forward, Issuer, OAuth, Settings, Tuning, names_metadata};
use tautline_store::Keyring;
use url::Url;

use super::{Environment, Problems};

/// Everything the gateway starts from.
#[derive(Debug)]
pub(crate) struct GatewayConfig {
    pub(crate) listen: SocketAddr,
    pub(crate) data_dir: PathBuf,
    pub(crate) database: Database,
    pub(crate) encryption_keys: Option<SecretString>,
    pub(crate) settings: Settings,
    /// What is off, for want of variables.
    pub(crate) off: Vec<Off>,
}

/// Where everything rests.
#[derive(Clone, Debug)]
pub(crate) enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database, by its URL: it holds a password.
    Postgres(SecretString),
}

/// Something that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Off {
    pub(crate) what: &'static str,
    pub(crate) fix: String,
}

/// How to come by an encryption key.
pub(crate) const MAKE_KEY: &str =
    "TAUTLINE_ENCRYPTION_KEYS=id:base64, with 32 bytes from: openssl rand -base64 32";

impl GatewayConfig {
    /// Reads the environment; says everything that is wrong with it at once.
    pub(crate) fn read(environment: &Environment) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let p = &mut problems;
        let listen = environment.parsed("TAUTLINE_LISTEN", "an address such as 127.0.0.1:8080", p);
        let listen: SocketAddr = listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
        let public_url = url(environment, "TAUTLINE_PUBLIC_URL", p);
        let public_url = public_url.unwrap_or_else(|| local_url(listen.port()));
        let slack_url = url(environment, "TAUTLINE_SLACK_URL", p);
        let slack_url = slack_url.unwrap_or_else(|| Url::parse("https://slack.com").expect("a URL"));
        let signing_secrets = signing_secrets(environment, p);
        let client_id = environment.get("SLACK_CLIENT_ID", p);
        let encryption_keys = environment.secret("TAUTLINE_ENCRYPTION_KEYS", p).map(SecretString::from);
        if let Some(keys) = &encryption_keys
            && let Err(error) = Keyring::parse(keys.expose_secret(), Arc::new(SystemRng))
        {
            p.add(format!("TAUTLINE_ENCRYPTION_KEYS cannot be used: {error}"));
        }
        let mut off = Vec::new();
        let oauth = oauth(environment, client_id.clone(), encryption_keys.is_some(), p);
        if signing_secrets.is_empty() {
            off.push(Off { what: "inbound", fix: "set SLACK_SIGNING_SECRET".into() });
        }
        if let OAuth::Off { fix } = &oauth {
            off.push(Off { what: "connect", fix: fix.clone() });
        }
        let settings = Settings {
            single_workspace: client_id.is_none() && !signing_secrets.is_empty(),
            signing_secrets,
            oauth,
            bot_scopes: scopes::parse(
                &environment
                    .get("SLACK_BOT_SCOPES", p)
                    .unwrap_or_else(|| scopes::DEFAULT_BOT_SCOPES.to_owned()),
            ),
            redirect_uri: redirect_uri(environment, &public_url, p),
            return_origins: return_origins(environment, p),
            admin_key: admin_key(environment, p),
            issuer: issuer(environment, p),
            trusted_proxies: trusted_proxies(environment, p),
            bot_token: environment.secret("SLACK_BOT_TOKEN", p).map(Token::new),
            forward: forward(environment, &mut off, p),
            ops_webhook: ops_webhook(environment, p),
            paces: paces(environment, p),
            tuning: tuning(environment, p),
            public_url,
            slack_url,
        };
        if settings.admin_key.is_none() {
            off.push(Off {
                what: "the API",
                fix: "set TAUTLINE_ADMIN_KEY to 32 or more of A-Z a-z 0-9 _ -".into(),
            });
        }
        let data_dir = data_dir(environment, p);
        let database = database(environment, &data_dir, p);
        problems.or(Self { listen, data_dir, database, encryption_keys, settings, off })
    }
}

/// Where a server on this machine's port is reached.
pub(crate) fn local_url(port: u16) -> Url {
    Url::parse(&format!("http://localhost:{port}")).expect("a URL")
}

fn url(environment: &Environment, name: &str, problems: &mut Problems) -> Option<Url> {
    let url: Url = environment.parsed(name, "a URL", problems)?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || url.fragment().is_some() {
        problems.add(format!("{name} is not an http or https URL without a fragment"));
        return None;
    }
    Some(url)
}

fn redirect_uri(environment: &Environment, public_url: &Url, problems: &mut Problems) -> Url {
    let own = || tautline_server::slack::below(public_url, CALLBACK_PATH.trim_start_matches('/'));
    let redirect_uri = url(environment, "SLACK_REDIRECT_URI", problems).unwrap_or_else(own);
    let path = redirect_uri.path();
    if path == "/" || path.contains(['{', '}', '*', ':']) || path.contains("//") {
        problems.add(format!("SLACK_REDIRECT_URI needs a path of its own, such as {CALLBACK_PATH}"));
    }
    redirect_uri
}

fn tuning(environment: &Environment, problems: &mut Problems) -> Tuning {
    let budget_ms = environment.parsed("TAUTLINE_COMMIT_BUDGET_MS", "a number of milliseconds", problems);
    let commit_budget = budget_ms.map_or(limits::COMMIT_BUDGET, Duration::from_millis);
    if commit_budget.is_zero() || commit_budget >= limits::HOLD {
        let longest = limits::HOLD.as_millis();
        problems.add(format!(
            "TAUTLINE_COMMIT_BUDGET_MS is not from 1 to below {longest}: Slack gives up at 3 s"
        ));
    }
    Tuning { commit_budget, ..Tuning::default() }
}

/// How fast messages go to Slack: what Slack allows, unless somebody knows better.
fn paces(environment: &Environment, problems: &mut Problems) -> Paces {
    let mut number = |name: &str, usual: u32, most: u32| {
        let found = environment.parsed(name, "a number", problems).unwrap_or(usual);
        if found == 0 || found > most {
            problems.add(format!("{name} is not from 1 to {most}"));
            return usual;
        }
        found
    };
    let pace_ms = u32::try_from(limits::LANE_PACE.as_millis()).unwrap_or(u32::MAX);
    let pace_ms = number("TAUTLINE_CHANNEL_PACE_MS", pace_ms, 600_000);
    let burst = number("TAUTLINE_CHANNEL_BURST", limits::LANE_BURST, 100);
    let posts = number("TAUTLINE_WORKSPACE_POSTS_PER_MINUTE", limits::WORKSPACE_POSTS_PER_MINUTE, 6_000_000);
    Paces {
        channel: Rule::every(Duration::from_millis(pace_ms.into()), burst),
        workspace: Rule::per_minute(posts),
    }
}

fn signing_secrets(environment: &Environment, problems: &mut Problems) -> Vec<SigningSecret> {
    let list = environment.secret("SLACK_SIGNING_SECRET", problems).unwrap_or_default();
    list.split(',').filter_map(|secret| SigningSecret::new(secret.trim())).collect()
}

fn oauth(environment: &Environment, id: Option<String>, sealed: bool, problems: &mut Problems) -> OAuth {
    let secret = environment.secret("SLACK_CLIENT_SECRET", problems);
    match (id, secret) {
        (Some(id), Some(secret)) if sealed => OAuth::On(oauth::Client { id, secret: Token::new(secret) }),
        (Some(_), Some(_)) => OAuth::Off { fix: format!("set {MAKE_KEY}") },
        (Some(_), None) => OAuth::Off { fix: "set SLACK_CLIENT_SECRET".into() },
        (None, Some(_)) => OAuth::Off { fix: "set SLACK_CLIENT_ID".into() },
        (None, None) => OAuth::Off { fix: "set SLACK_CLIENT_ID and SLACK_CLIENT_SECRET".into() },
    }
}

fn return_origins(environment: &Environment, problems: &mut Problems) -> Vec<url::Origin> {
    let list = environment.get("TAUTLINE_RETURN_ORIGINS", problems).unwrap_or_default();
    let mut origin = |text: &str| match Url::parse(text) {
        Ok(url) if url.origin().is_tuple() && url.path() == "/" && url.query().is_none() => {
            Some(url.origin())
        }
        _ => {
            problems.add(format!(
                "TAUTLINE_RETURN_ORIGINS has {text:?}, which is no origin such as https://app.example.com"
            ));
            None
        }
    };
    list.split(',').map(str::trim).filter(|text| !text.is_empty()).filter_map(&mut origin).collect()
}

/// Whose tokens are taken beside API keys.
fn issuer(environment: &Environment, problems: &mut Problems) -> Option<Issuer> {
    let url = url(environment, "TAUTLINE_AUTH_ISSUER", problems);
    let mut list = |name: &str| {
        let list = environment.get(name, problems).unwrap_or_default();
        list.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (audience, parties) = (list("TAUTLINE_AUTH_AUDIENCE"), list("TAUTLINE_AUTH_PARTIES"));
    let tenant_claim = environment.get("TAUTLINE_AUTH_TENANT_CLAIM", problems);
    let provision = match environment.get("TAUTLINE_AUTH_PROVISION", problems).as_deref() {
        None | Some("0") => false,
        Some("1") => true,
        Some(_) => {
            problems.add("TAUTLINE_AUTH_PROVISION is neither 0 nor 1");
            false
        }
    };
    let url = url?;
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(v4)) => v4.is_loopback(),
        Some(url::Host::Ipv6(v6)) => v6.is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !is_local {
        problems.add("TAUTLINE_AUTH_ISSUER is not https: whoever is on the way could give us other keys");
    }
    // As it was written: tokens are compared with it letter by letter.
    let issuer = environment.get("TAUTLINE_AUTH_ISSUER", problems)?;
    Some(Issuer { issuer, audience, parties, tenant_claim, provision })
}

/// Addresses and networks.
fn trusted_proxies(environment: &Environment, problems: &mut Problems) -> Vec<IpNet> {
    let list = environment.get("TAUTLINE_TRUSTED_PROXIES", problems).unwrap_or_default();
    let mut network = |text: &str| {
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        if network.is_none() {
            problems.add(format!(
                "TAUTLINE_TRUSTED_PROXIES has {text:?}, which is no address or network such as 10.0.0.0/8"
            ));
        }
        network
    };
    list.split(',').map(str::trim).filter(|text| !text.is_empty()).filter_map(&mut network).collect()
}

fn admin_key(environment: &Environment, problems: &mut Problems) -> Option<SecretHash> {
    let key = environment.secret("TAUTLINE_ADMIN_KEY", problems)?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if key.len() < 32 || !key.bytes().all(allowed) {
        problems.add(
            "TAUTLINE_ADMIN_KEY is not 32 or more of A-Z a-z 0-9 _ - (make one with: openssl rand -hex 32)",
        );
    }
    Some(SecretHash::of(&key))
}

fn forward(environment: &Environment, off: &mut Vec<Off>, problems: &mut Problems) -> Option<Forward> {
    let url = url(environment, "TAUTLINE_FORWARD_URL", problems);
    if url.as_ref().is_some_and(|url| !url.username().is_empty() || url.password().is_some()) {
        problems.add("TAUTLINE_FORWARD_URL has a user or password in it; requests are signed instead");
    }
    if url.as_ref().is_some_and(names_metadata) {
        problems.add("TAUTLINE_FORWARD_URL is an address of a cloud's metadata service; name the app itself");
    }
    let secret = environment.secret("TAUTLINE_FORWARD_SECRET", problems).and_then(SigningSecret::new);
    match (url, secret) {
        (Some(url), Some(secret)) => Some(Forward { url, secret }),
        // Half of it would take requests from Slack and bring them nowhere.
        (Some(_), None) => {
            problems.add("TAUTLINE_FORWARD_URL is set without TAUTLINE_FORWARD_SECRET: set it to the app's signing secret");
            None
        }
        (None, _) => {
            off.push(Off {
                what: "dispatch",
                fix: "set TAUTLINE_FORWARD_URL and TAUTLINE_FORWARD_SECRET".into(),
            });
            None
        }
    }
}

/// Where the gateway's own alerts go.
fn ops_webhook(environment: &Environment, problems: &mut Problems) -> Option<SecretString> {
    let url = environment.secret("SLACK_OPS_WEBHOOK_URL", problems)?;
    // Not repeated: it is a secret.
    if !Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
        problems
            .add("SLACK_OPS_WEBHOOK_URL is not an http or https URL; copy the incoming webhook's from Slack");
    }
    Some(url.into())
}

/// Not one of SQLite's own notations: a database in memory, say, could not keep what was acknowledged.
fn is_plain_path(path: &str) -> bool {
    !path.is_empty() && !path.starts_with([':', '?']) && !path.starts_with("file:") && !path.contains('?')
}

/// Reads `TAUTLINE_DATABASE_URL`, for the gateway and for the commands that look after its store.
pub(crate) fn database(environment: &Environment, data_dir: &Path, problems: &mut Problems) -> Database {
    let embedded = || Database::Sqlite(data_dir.join("tautline.db"));
    let Some(url) = environment.secret("TAUTLINE_DATABASE_URL", problems) else { return embedded() };
    match url.split_once("://") {
        Some(("sqlite", path)) if is_plain_path(path) => Database::Sqlite(path.into()),
        Some(("postgres" | "postgresql", _)) => Database::Postgres(url.into()),
        _ => {
            problems.add(
                "TAUTLINE_DATABASE_URL is neither sqlite://PATH, the path being that of a plain file, nor postgres://USER:PASSWORD@HOST/DATABASE",
            );
            embedded()
        }
    }
}

/// Where the gateway keeps its files.
pub(crate) fn data_dir(environment: &Environment, problems: &mut Problems) -> PathBuf {
    environment.get("TAUTLINE_DATA_DIR", problems).map_or("tautline-data".into(), PathBuf::from)
}

#[cfg(test)]
mod tests;
