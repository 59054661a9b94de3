//! For tests whose server runs in their own process: where a commit has to stall, or the clock to be moved.

use std::sync::{Arc, Condvar, Mutex};

use tautline_server::core::SecretHash;
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
        bot_token: None,
        forward: None,
        ops_webhook: None,
        tuning,
    }
}
