//! A gateway: `tautline serve` in a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tautline_testing::{Cluster, Database};
use tempfile::TempDir;

use super::{Address, Process, Slack, eventually, http};

/// The platform's key in every test.
pub const ADMIN_KEY: &str = "admin-key-of-the-tests-0123456789abcdef";
const PORT: u16 = 8080;
/// What seals, in every test.
pub const ENCRYPTION_KEYS: &str = "k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";

/// How a gateway is started.
#[derive(Clone)]
pub struct GatewaySetup {
    program: PathBuf,
    address: Address,
    store: Ground,
    variables: Vec<(String, String)>,
}

/// What its store stands on.
#[derive(Clone)]
enum Ground {
    Sqlite,
    Postgres(Database),
}

/// A running gateway with a data directory of its own.
pub struct Gateway {
    pub process: Process,
    pub url: String,
    data: TempDir,
    setup: GatewaySetup,
}

impl GatewaySetup {
    /// Nothing set but the address and the key.
    pub fn bare(address: Address) -> Self {
        let program = env!("CARGO_BIN_EXE_tautline").into();
        let setup = Self { program, address, store: Ground::Sqlite, variables: Vec::new() };
        setup
            .with("TAUTLINE_LISTEN", &address.port(PORT).to_string())
            .with("TAUTLINE_PUBLIC_URL", &address.url(PORT))
            .with("TAUTLINE_ADMIN_KEY", ADMIN_KEY)
            .with("TAUTLINE_LOG", "warn,tautline=info,tautline_server=debug")
    }

    /// Everything set that a Slack app brings, with Slack simulated. On the engine that this run is about: SQLite,
    /// or with `TAUTLINE_TEST_STORE=postgres` the other.
    pub fn of(slack: &Slack) -> Self {
        let setup = Self::on_either(slack);
        match std::env::var_os("TAUTLINE_TEST_STORE") {
            Some(store) if store == "postgres" => setup.on_postgres(Cluster::shared().database()),
            _ => setup,
        }
    }

    /// On SQLite, whatever this run is about.
    pub fn on_sqlite(self) -> Self {
        Self { store: Ground::Sqlite, ..self }
    }

    /// On a PostgreSQL database, whatever this run is about.
    pub fn on_postgres(self, database: Database) -> Self {
        Self { store: Ground::Postgres(database), ..self }
    }

    fn on_either(slack: &Slack) -> Self {
        slack
            .variables()
            .into_iter()
            .fold(Self::bare(slack.address), |setup, (name, value)| setup.with(name, &value))
            .with("TAUTLINE_ENCRYPTION_KEYS", ENCRYPTION_KEYS)
            // Many tests share this machine's disk.
            .with("TAUTLINE_COMMIT_BUDGET_MS", "2000")
    }

    /// At another address: a second gateway beside the first.
    pub fn at(self, address: Address) -> Self {
        Self { address, ..self }.with("TAUTLINE_LISTEN", &address.port(PORT).to_string())
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(set, _)| set != name);
        self
    }

    /// Another program, that is configured in the same way.
    pub fn program(self, program: PathBuf) -> Self {
        Self { program, ..self }
    }

    /// Starts it, and waits until it serves.
    pub fn start(self) -> Gateway {
        let data = tempfile::tempdir().unwrap();
        let process = self.launch(data.path());
        process.wait_for("serving");
        Gateway { process, url: self.address.url(PORT), data, setup: self }
    }

    /// Starts it in a directory, whatever becomes of it.
    pub fn launch(&self, data: &Path) -> Process {
        Process::start(self.configured(data).arg("serve"))
    }

    fn configured(&self, data: &Path) -> Command {
        let mut command = without_surroundings(&self.program);
        command.env("TAUTLINE_DATA_DIR", data).current_dir(data);
        if let Ground::Postgres(database) = &self.store {
            command.env("TAUTLINE_DATABASE_URL", database.url());
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The program, without the surroundings of the tests.
pub fn tautline() -> Command {
    without_surroundings(Path::new(env!("CARGO_BIN_EXE_tautline")))
}

fn without_surroundings(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

impl Gateway {
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    pub fn database(&self) -> PathBuf {
        self.data().join("tautline.db")
    }

    /// A command with this gateway's configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.setup.configured(self.data.path());
        command.args(arguments);
        command
    }

    /// Changes its configuration; the next start follows it.
    pub fn set(&mut self, name: &str, value: &str) {
        self.setup.variables.retain(|(set, _)| set != name);
        self.setup.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Takes its store away.
    pub fn empty_store(&mut self) {
        match &self.setup.store {
            Ground::Sqlite => {
                for name in ["tautline.db", "tautline.db-wal", "tautline.db-shm"] {
                    let _ = std::fs::remove_file(self.data().join(name));
                }
            }
            Ground::Postgres(_) => self.setup.store = Ground::Postgres(Cluster::shared().database()),
        }
    }

    /// Everything that is in the database, if it is PostgreSQL's.
    pub fn dump(&self) -> Option<Vec<u8>> {
        match &self.setup.store {
            Ground::Sqlite => None,
            Ground::Postgres(database) => Some(database.dump()),
        }
    }

    /// Whatever waits has waited too long.
    pub fn age_deliveries(&self) {
        let age = "UPDATE deliveries SET expires_at = 1 WHERE state = 'ready'";
        match &self.setup.store {
            Ground::Sqlite => {
                let file = rusqlite::Connection::open(self.database()).unwrap();
                file.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
                file.execute_batch(age).unwrap();
            }
            Ground::Postgres(database) => drop(database.sql(age)),
        }
    }

    /// `kill -9`, and what was said until then.
    pub fn kill(&mut self) -> String {
        self.process.kill();
        self.process.said()
    }

    /// Starts it again on what it left. On PostgreSQL, where others may be at work, the dead one's leases have to run
    /// out first: they have by then.
    pub fn restart(&mut self) {
        if let Ground::Postgres(database) = &self.setup.store {
            database.sql(
                "UPDATE deliveries SET leased_until = 0 WHERE state = 'leased';
                 UPDATE lanes SET leased_until = 0 WHERE leased_until IS NOT NULL;
                 UPDATE refreshes SET leased_until = 0 WHERE leased_until IS NOT NULL;
                 UPDATE inbox SET received_at = received_at - 60000000 WHERE answer = 'waiting'",
            );
        }
        self.process = self.setup.launch(self.data.path());
        self.process.wait_for("serving");
    }

    /// Starts it again beside another that may be at work on the same: whose leases those are only time tells.
    pub fn restart_beside(&mut self) {
        self.process = self.setup.launch(self.data.path());
        self.process.wait_for("serving");
    }

    /// Asks the API. The tenant is named for platform keys.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        tenant: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = http().request(method, format!("{}{path}", self.url));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        if let Some(tenant) = tenant {
            request = request.header("tautline-tenant", tenant);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// As the platform.
    pub async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::POST, path, Some(ADMIN_KEY), None, Some(body)).await
    }

    /// With a key.
    pub async fn get(&self, path: &str, key: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, path, Some(key), None, None).await
    }

    /// A tenant with a key that may do everything.
    pub async fn tenant(&self, id: &str) -> String {
        let (status, _) = self.post("/api/v1/tenants", json!({ "id": id })).await;
        assert!(status.is_success(), "{status}");
        let scopes = ["read", "send", "manage"];
        let (status, made) = self.post("/api/v1/keys", json!({ "tenant": id, "scopes": scopes })).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made["key"].as_str().unwrap().to_owned()
    }

    /// What a tenant has connected.
    pub async fn installations(&self, key: &str) -> Vec<Value> {
        let (status, found) = self.get("/api/v1/integrations/slack/installations", key).await;
        assert_eq!(status, StatusCode::OK, "{found}");
        found["installations"].as_array().unwrap().clone()
    }

    /// A connect link of a tenant.
    /// Waits until it has looked through the channels of a tenant's workspaces, and asks Slack for nothing by itself.
    pub async fn crawled(&self, key: &str) {
        for installation in self.installations(key).await {
            let id = installation["id"].as_str().unwrap();
            let path = format!("/api/v1/integrations/slack/installations/{id}/channels");
            eventually("the channels are known", async || {
                self.get(&path, key).await.1["crawled_at"].is_string().then_some(())
            })
            .await;
        }
    }

    pub async fn connect_link(&self, key: &str) -> String {
        let path = "/api/v1/integrations/slack/connect-links";
        let (status, made) = self.ask(Method::POST, path, Some(key), None, Some(json!({}))).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made["url"].as_str().unwrap().to_owned()
    }

    /// What a tenant received.
    pub async fn inbox(&self, key: &str) -> Vec<Value> {
        let (status, found) = self.get("/api/v1/inbox?limit=500", key).await;
        assert_eq!(status, StatusCode::OK, "{found}");
        found["requests"].as_array().unwrap().clone()
    }
}
