//! Looking after a store: through the server that has it, or directly when none runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tautline_server::core::keeping::{Erased, ResealCursor};
use tautline_server::core::{Store, SystemRng, TenantId};

use crate::config::{Database, Environment, GatewayConfig, MAKE_KEY, Problems, keyring, make_private};
use crate::store;

/// How long a server may take to say that it is there.
const PROBE: Duration = Duration::from_secs(2);

/// Whoever does what is asked.
pub(crate) enum Admin {
    /// A running server, asked by its API.
    Server { url: String, key: SecretString },
    /// The store itself.
    Store(Arc<dyn Store>),
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
    /// Finds whoever has the store.
    pub(crate) async fn reach(environment: &Environment) -> anyhow::Result<Self> {
        let config = GatewayConfig::read(environment)?;
        let url = format!("http://{}", config.listen);
        if is_tautline(&url).await {
            let mut problems = Problems::default();
            let key = environment.secret("TAUTLINE_ADMIN_KEY", &mut problems);
            if key.is_none() {
                problems.add(format!("TAUTLINE_ADMIN_KEY is not set, and the server at {url} has the store: set it to the server's key, so that this can ask it"));
            }
            return Ok(Self::Server { url, key: problems.or(key)?.unwrap_or_default().into() });
        }
        if config.encryption_keys.is_none() && matches!(config.database, Database::Postgres(_)) {
            let mut problems = Problems::default();
            problems.add(format!("there is no encryption key: set {MAKE_KEY}"));
            problems.or(())?;
        }
        make_private(&config.data_dir)?;
        let vault = keyring(config.encryption_keys.as_ref(), &config.data_dir, Arc::new(SystemRng))?;
        Ok(Self::Store(store::open(&config.database, Arc::new(vault)).await?))
    }

    /// Seals a part of everything anew.
    pub(crate) async fn reseal(&self, cursor: Option<&str>) -> anyhow::Result<Part> {
        match self {
            Self::Store(store) => {
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
            Self::Server { .. } => {
                let query = cursor.map(|cursor| format!("?cursor={cursor}")).unwrap_or_default();
                let said = self.ask(reqwest::Method::POST, &format!("/api/v1/vault/reseal{query}")).await?;
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
            Self::Store(store) => {
                if tenant.is_home() {
                    bail!("\"home\" is the company itself");
                }
                if store.tenant(tenant).await?.is_none() {
                    bail!("there is no tenant {:?}", tenant.as_str());
                }
                let mut erased = Erased::default();
                while !erased.is_done {
                    let part = store.tenant_erase(tenant).await?;
                    part.rows.iter().for_each(|(table, rows)| erased.count(table, *rows));
                    erased.is_done = part.is_done;
                }
                let rows: BTreeMap<String, u64> = erased.rows;
                Ok(json!({ "tenant": tenant, "erased": rows }))
            }
            Self::Server { .. } => {
                self.ask(reqwest::Method::DELETE, &format!("/api/v1/tenants/{tenant}")).await
            }
        }
    }

    async fn ask(&self, method: reqwest::Method, path: &str) -> anyhow::Result<Value> {
        let Self::Server { url, key } = self else { bail!("there is no server to ask") };
        let request = client()?.request(method, format!("{url}{path}")).bearer_auth(key.expose_secret());
        let answer = request.send().await.with_context(|| format!("the server at {url} broke off"))?;
        let is_success = answer.status().is_success();
        let said: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
        if !is_success {
            let text = |name: &str| said[name].as_str().unwrap_or("no reason given").to_owned();
            bail!("the server at {url} refused: {}; {}", text("error"), text("fix"));
        }
        Ok(said)
    }
}

fn client() -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?)
}

async fn is_tautline(url: &str) -> bool {
    let Ok(client) = client() else { return false };
    match client.get(format!("{url}/healthz")).timeout(PROBE).send().await {
        Ok(answer) => answer.text().await.is_ok_and(|said| said.contains("\"status\":\"ok\"")),
        Err(_) => false,
    }
}
