//! The simulation's shared parts.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Options;
use crate::journal::Journal;
use crate::response_url::ResponseUrl;
use crate::state::State;
use crate::weather::Sky;

/// A simulated Slack.
pub struct Sim {
    pub(crate) options: Options,
    pub(crate) http: reqwest::Client,
    state: Mutex<State>,
    journal: Mutex<Journal>,
    pub(crate) codes: Mutex<HashMap<String, Code>>,
    pub(crate) response_urls: Mutex<HashMap<String, ResponseUrl>>,
    /// How many of the next answers of a method do not arrive.
    pub(crate) losing: Mutex<HashMap<String, (u32, Lost)>>,
    pub(crate) sky: Mutex<Sky>,
}

/// An OAuth code that was handed out, until it is redeemed.
pub(crate) struct Code {
    pub(crate) team: String,
    pub(crate) user: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) user_scopes: Vec<String>,
    pub(crate) redirect_uri: String,
    pub(crate) expires_at_s: i64,
}

/// How an answer is lost.
#[derive(Clone, Copy)]
pub(crate) enum Lost {
    /// The connection ends before it.
    Cut,
    /// It never comes.
    Held,
}

impl Sim {
    pub(crate) fn with(options: Options, mut state: State) -> Self {
        state.base = format!("{}/", options.public_url.as_str().trim_end_matches('/'));
        let http = reqwest::Client::builder()
            // Slack follows two redirects.
            .redirect(reqwest::redirect::Policy::limited(2))
            .no_proxy()
            // A connection that the app closes just then would look like an app that does not answer.
            .pool_max_idle_per_host(0)
            .user_agent("Slackbot 1.0 (+https://api.slack.com/robots)")
            .build()
            .expect("a client without special wishes can be built");
        Self {
            options,
            http,
            state: Mutex::new(state),
            journal: Mutex::default(),
            codes: Mutex::default(),
            response_urls: Mutex::default(),
            losing: Mutex::default(),
            sky: Mutex::default(),
        }
    }

    /// Whether this answer does not arrive.
    pub(crate) fn loses(&self, method: &str) -> Option<Lost> {
        let mut losing = lock(&self.losing);
        let (times, lost) = losing.get_mut(method).filter(|(times, _)| *times > 0)?;
        *times -= 1;
        Some(*lost)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
