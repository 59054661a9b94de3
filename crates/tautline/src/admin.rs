//! Looking after a store: through the server that has it, or directly when none runs.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tautline_server::core::keeping::{self, ResealCursor};
use tautline_server::core::{Clock as _, Store, SystemClock, SystemRng, TenantId, Vault as _};
use tautline_server::{Desk, Ports};
use tautline_store::Keyring;
use tautline_store::sqlite::OpenError;

use crate::config::{Database, Environment, GatewayConfig, MAKE_KEY, Problems, has_made_key, keyring};
use crate::store;

/// Whoever does what is asked.
pub(crate) enum Admin {
    /// A running server, asked by its API.
    Server { url: String, key: SecretString, seals_with: Option<String> },
    /// The store itself.
    Store(Arc<dyn Store>, Box<Desk>),
}

/// What a part of sealing anew came to.
pub(crate) struct Part {
    pub(crate) looked_at: u64,
    pub(crate) resealed: u64,
    pub(crate) failed: Vec<String>,
    pub(crate) total: Option<u64>,
    pub(crate) next: Option<String>,
}

impl Admin {
    /// Opens the store; if it is a file that a server has, finds that server. Never another: what it does would be
    /// done to another store.
    pub(crate) async fn reach(environment: &Environment) -> anyhow::Result<Self> {
        let config = GatewayConfig::read(environment)?;
        let mut problems = Problems::default();
        let key = environment.secret("TAUTLINE_ADMIN_KEY", &mut problems);
        problems.or(())?;
        if let Database::Sqlite(path) = &config.database
            && !path.exists()
        {
            bail!(
                "there is no store at {}: start a server first, or set TAUTLINE_DATA_DIR to where it is",
                path.display()
            );
        }
        let rng = Arc::new(SystemRng);
        // A running server has keys of its own: they are needed here only where none runs.
        let is_keyless = config.encryption_keys.is_none() && !has_made_key(&config.data_dir);
        let vault = if is_keyless {
            Keyring::single("none", SystemRng.array(), rng.clone())
        } else {
            keyring(config.encryption_keys.as_ref(), &config.data_dir, rng.clone())?
        };
        let (vault, no_key) = (Arc::new(vault), format!("there is no encryption key: set {MAKE_KEY}"));
        let seals_with = (!is_keyless).then(|| vault.first_key());
        let error = match store::open(&config.database, vault.clone(), "a command of tautline's").await {
            Ok(_) if is_keyless => {
                let mut problems = Problems::default();
                problems.add(no_key);
                return Err(problems.or(()).unwrap_err().into());
            }
            Ok(store) => {
                let ports = Ports { store: store.clone(), vault, clock: Arc::new(SystemClock), rng };
                let desk = Desk::new(config.settings, ports).await?;
                return Ok(Self::Store(store, Box::new(desk)));
            }
            Err(error) => error,
        };
        match error.downcast_ref::<OpenError>() {
            Some(OpenError::InUse { by, .. }) if by.starts_with("http") => {
                let Some(key) = key else {
                    bail!(
                        "the server at {by} has the store: set TAUTLINE_ADMIN_KEY to its key, so that it can be asked"
                    );
                };
                Ok(Self::Server { url: by.trim_end_matches('/').to_owned(), key: key.into(), seals_with })
            }
            _ => Err(error),
        }
    }

    /// Seals a part of everything anew.
    pub(crate) async fn reseal(&self, cursor: Option<&str>) -> anyhow::Result<Part> {
        match self {
            Self::Store(store, _) => {
                let total = if cursor.is_none() { Some(store.sealed_rows().await?) } else { None };
                let from = cursor
                    .map_or(Some(ResealCursor::START), ResealCursor::decode)
                    .context("a cursor of our own")?;
                let part = store.reseal(from).await?;
                let next = part.next.map(|next| next.encode());
                Ok(Part {
                    looked_at: part.looked_at,
                    resealed: part.resealed,
                    failed: part.failed,
                    total,
                    next,
                })
            }
            Self::Server { url, seals_with, .. } => {
                let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
                let said =
                    self.ask(Method::POST, &format!("/api/v1/vault/reseal{query}"), None, None).await?;
                let theirs = said["key"].as_str().unwrap_or_default();
                let Some(seals_with) = seals_with else {
                    bail!("there is no encryption key: set {MAKE_KEY}")
                };
                if theirs != seals_with {
                    bail!(
                        "the server at {url} seals with the key {theirs}, and TAUTLINE_ENCRYPTION_KEYS begins with {seals_with} here: start the server anew with these keys first"
                    );
                }
                let number = |name: &str| said[name].as_u64();
                let failed = said["failed"].as_array().into_iter().flatten();
                Ok(Part {
                    looked_at: number("looked_at").unwrap_or(0),
                    resealed: number("resealed").unwrap_or(0),
                    failed: failed.filter_map(|row| row.as_str().map(str::to_owned)).collect(),
                    total: number("total"),
                    next: said["next_cursor"].as_str().map(str::to_owned),
                })
            }
        }
    }

    /// Erases a tenant; what is gone, by table.
    pub(crate) async fn erase(&self, tenant: &TenantId) -> anyhow::Result<Value> {
        match self {
            Self::Store(store, _) => {
                if tenant.is_home() {
                    bail!("\"home\" is the company itself");
                }
                if store.tenant(tenant).await?.is_none() {
                    bail!("there is no tenant {:?}", tenant.as_str());
                }
                let at = SystemClock.now();
                let erased =
                    keeping::erase(store.as_ref(), tenant, "the command line".to_owned(), at).await?;
                Ok(json!({ "tenant": tenant, "erased_at": at, "erased": erased.rows }))
            }
            Self::Server { .. } => {
                self.ask(Method::DELETE, &format!("/api/v1/tenants/{tenant}"), None, None).await
            }
        }
    }

    /// Asks the API: of the running server, or of the store where none runs.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        tenant: Option<&str>,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        let (who, status, said) = match self {
            Self::Store(_, desk) => {
                let (status, said) = desk.ask(method, path, tenant, body).await?;
                ("the store".to_owned(), status, said)
            }
            Self::Server { url, key, .. } => {
                let mut request = client()?.request(method, format!("{url}{path}"));
                request = request.bearer_auth(key.expose_secret());
                if let Some(tenant) = tenant {
                    request = request.header("tautline-tenant", tenant);
                }
                if let Some(json) = body {
                    request = request.header("content-type", "application/json").body(json.to_string());
                }
                let who = format!("the server at {url}");
                let answer = request.send().await.with_context(|| format!("{who} broke off"))?;
                let status = answer.status();
                (who, status, serde_json::from_str(&answer.text().await?).unwrap_or_default())
            }
        };
        if !status.is_success() {
            let error = said["error"].as_str().unwrap_or("no reason given");
            match said["fix"].as_str() {
                Some(fix) => bail!("{who} refused: {error}; {fix}"),
                None => bail!("{who} refused: {error}"),
            }
        }
        Ok(said)
    }
}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?)
}
