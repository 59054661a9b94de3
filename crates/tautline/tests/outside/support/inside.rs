//! For tests whose server runs in their own process: where a commit has to stall, or the clock to be moved.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tautline_server::core::pace::Paces;
use tautline_server::core::{Clock, SecretHash, SystemClock, Timestamp};
use tautline_server::slack::signing::SigningSecret;
use tautline_server::{OAuth, Settings, Tuning};
use tautline_store::sqlite::CommitGate;
use tokio::sync::Notify;

use super::{ADMIN_KEY, Address, SIGNING_SECRET};

/// A commit waits while the gate is shut, and says that it is there.
#[derive(Default)]
pub struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
    pub reached: Notify,
}

impl Gate {
    /// What the store calls before every commit.
    pub fn of_commits(self: &Arc<Self>) -> CommitGate {
        let gate = self.clone();
        Arc::new(move || gate.pass())
    }

    fn pass(&self) {
        let mut shut = self.shut.lock().unwrap();
        while *shut {
            self.reached.notify_one();
            shut = self.opened.wait(shut).unwrap();
        }
    }

    pub fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

/// A clock that the test moves.
pub struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Moved {
    pub fn from_now() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(SystemClock.now().as_micros())))
    }

    pub fn by(&self, duration: Duration) {
        self.0.fetch_add(i64::try_from(duration.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

/// A gateway at port 8080 whose every request is home's, and whose Slack is nowhere.
pub fn settings(address: Address, tuning: Tuning) -> Settings {
    let url = address.url(8080);
    Settings {
        public_url: url.parse().unwrap(),
        slack_url: address.url(8081).parse().unwrap(),
        signing_secrets: vec![SigningSecret::new(SIGNING_SECRET).unwrap()],
        single_workspace: true,
        oauth: OAuth::Off { fix: "none here".into() },
        bot_scopes: Vec::new(),
        redirect_uri: format!("{url}/callback").parse().unwrap(),
        return_origins: Vec::new(),
        admin_key: Some(SecretHash::of(ADMIN_KEY)),
        issuer: None,
        trusted_proxies: Vec::new(),
        bot_token: None,
        forward: None,
        ops_webhook: None,
        paces: Paces::default(),
        tuning,
    }
}
