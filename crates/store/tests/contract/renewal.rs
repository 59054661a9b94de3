//! A model of token rotation: what Slack does with refresh tokens, and workers that die and lose answers at every step. It
//! goes through what `tautline_core::refresh` and a real store decide, with a clock of its own.
//!
//! The modelled Slack is as unkind as its documents allow. A refresh token is good for one use, and for a grace after it; used
//! again within the grace it gives another pair, and then only the pair given last can be renewed. Two access tokens live.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use tautline_core::installation::{Credential, CredentialKind, Health, Installed, NewInstallation};
use tautline_core::refresh::{self, Leasing, Refresh, RefreshNext, RefreshResult, Settled};
use tautline_core::{InstallationId, Rng, Timestamp, limits};
use tautline_slack::Token;

use crate::engine::Ground;
use crate::installations::new;
use crate::scene::{NOW, Scene};

const LIFE: Duration = Duration::from_secs(43_200);

pub async fn no_token_is_bricked_whatever_dies(scene: &Scene) {
    let seeds = std::env::var_os("TAUTLINE_TEST_SEEDS").and_then(|seeds| seeds.to_str()?.parse().ok());
    let seeds: u64 = seeds.unwrap_or(100);
    let mut now = NOW;
    let (mut renewed, mut bricked, mut repeated) = (0, 0, 0);
    for seed in 0..seeds {
        // Every other one goes through what a grace of a minute survives: whoever died is outlived by somebody, soon.
        let mut life = Life::begin(scene, seed, seed % 2 == 0, now).await;
        for _ in 0..100 {
            life.step().await;
        }
        life.ends_well().await;
        now = life.now;
        renewed += life.slack.minted;
        repeated += life.slack.repeated;
        assert!(seed % 2 == 1 || life.slack.refused.is_empty(), "within the grace: seed {seed}");
        bricked += usize::from(life.is_bricked());
        let removed = scene.store.installation_remove(&scene.acme, life.installation, now, now).await;
        assert!(removed.unwrap());
    }
    // Else the model would have shown nothing.
    assert!(renewed > 2 * seeds as usize, "{renewed} renewed");
    assert!(repeated > seeds as usize / 10, "{repeated} lost answers asked for again");
    assert!(bricked > 0, "and some were too late");
}

/// No jitter: a seed tells the same story each time.
struct Steady;

impl Rng for Steady {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

/// What Slack knows of a refresh token.
struct Known {
    used_at: Option<Timestamp>,
    /// The pair of the same refresh token that was given before this one.
    is_superseded: bool,
    children: Vec<String>,
}

struct Slack {
    grace: Duration,
    known: HashMap<String, Known>,
    live: VecDeque<String>,
    minted: usize,
    repeated: usize,
    in_flight: usize,
    /// Refresh tokens that were used again when it was too late.
    refused: HashSet<String>,
}

impl Slack {
    fn mint(&mut self, now: Timestamp) -> Credential {
        self.minted += 1;
        let (token, refresh_token) = (format!("xoxb-{}", self.minted), format!("xoxe-{}", self.minted));
        let fresh = Known { used_at: None, is_superseded: false, children: Vec::new() };
        self.known.insert(refresh_token.clone(), fresh);
        self.live.push_back(token.clone());
        if self.live.len() > 2 {
            self.live.pop_front();
        }
        Credential {
            kind: CredentialKind::Bot,
            token: Token::new(token),
            refresh_token: Some(Token::new(refresh_token)),
            expires_at: Some(now.after(LIFE)),
        }
    }

    fn refresh(&mut self, refresh_token: &str, now: Timestamp) -> RefreshResult {
        let known = &self.known[refresh_token];
        assert!(!known.is_superseded, "the store holds a pair of which Slack gave a later one");
        if known.used_at.is_some_and(|used_at| now.since(used_at) >= self.grace) {
            self.refused.insert(refresh_token.to_owned());
            return RefreshResult::Refused("invalid_refresh_token".to_owned());
        }
        self.repeated += usize::from(known.used_at.is_some());
        let before = known.children.clone();
        for child in before {
            self.known.get_mut(&child).expect("it was given").is_superseded = true;
        }
        let pair = self.mint(now);
        let known = self.known.get_mut(refresh_token).expect("it is known");
        known.used_at.get_or_insert(now);
        known.children.push(text(&pair.refresh_token));
        RefreshResult::Renewed(pair)
    }
}

/// Who renews.
enum Worker {
    Idle,
    Holds(Box<Refresh>),
    /// Slack has not been reached, or has done it already.
    Calls {
        refresh: Box<Refresh>,
        began_at: Timestamp,
        done: Option<RefreshResult>,
    },
    Settles(Box<Refresh>, RefreshNext),
}

struct Life<'a> {
    scene: &'a Scene,
    rng: fastrand::Rng,
    is_fair: bool,
    /// Nothing more goes wrong.
    is_over: bool,
    /// What went wrong since the last pair was stored.
    faults: u32,
    now: Timestamp,
    slack: Slack,
    workers: Vec<Worker>,
    installation: InstallationId,
    team: String,
    /// The refresh token that the store has.
    kept: String,
}

fn text(token: &Option<Token>) -> String {
    token.as_ref().expect("it rotates").expose().to_owned()
}

impl<'a> Life<'a> {
    async fn begin(scene: &'a Scene, seed: u64, is_fair: bool, now: Timestamp) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let grace_s = if is_fair { rng.u64(60..120) } else { rng.u64(5..60) };
        let slack = Slack {
            grace: Duration::from_secs(grace_s),
            known: HashMap::new(),
            live: VecDeque::new(),
            minted: 0,
            repeated: 0,
            in_flight: 0,
            refused: HashSet::new(),
        };
        // Several replicas share PostgreSQL; a file has one server.
        let count = if matches!(scene.ground, Ground::Postgres(_)) { 3 } else { 1 };
        let workers = (0..count).map(|_| Worker::Idle).collect();
        let (team, installation) = (format!("T{seed}"), InstallationId::from_bytes([0; 16]));
        let kept = String::new();
        let mut life = Self {
            scene,
            rng,
            is_fair,
            is_over: false,
            faults: 0,
            now,
            slack,
            workers,
            installation,
            team,
            kept,
        };
        life.install().await;
        life
    }

    async fn install(&mut self) {
        let pair = self.slack.mint(self.now);
        self.kept = text(&pair.refresh_token);
        let new = new(&self.scene.acme, "A1", Some(&self.team), None, "");
        let new = NewInstallation { credentials: vec![pair], ..new };
        match self.scene.store.installation_store(new, self.now).await.unwrap() {
            Installed::Done(installation) => self.installation = installation.id,
            other => panic!("{other:?}"),
        }
        self.faults = 0;
    }

    fn pass_s(&mut self, seconds: std::ops::Range<u64>) {
        let seconds = self.rng.u64(seconds);
        self.pass(Duration::from_secs(seconds));
    }

    /// Time passes; no call goes on for longer than calls may.
    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        for worker in &mut self.workers {
            let is_over = |began_at: Timestamp| self.now.since(began_at) >= limits::SLACK_TIMEOUT;
            if let Worker::Calls { refresh, began_at, .. } = worker
                && is_over(*began_at)
            {
                self.slack.in_flight -= 1;
                let lost = RefreshResult::Unknown("timed out".to_owned());
                let next = refresh::after(refresh, lost, self.now, &Steady);
                *worker = Worker::Settles(refresh.clone(), next);
            }
        }
    }

    /// Whoever is at work is not left standing, where all goes as it should: a call that times out is a fault like another.
    fn may_pass(&self) -> bool {
        !self.is_fair || self.workers.iter().all(|worker| matches!(worker, Worker::Idle))
    }

    fn may_fail(&mut self) -> bool {
        let may = !self.is_over && (!self.is_fair || self.faults < 2) && self.rng.u8(..4) == 0;
        self.faults += u32::from(may);
        may
    }

    async fn step(&mut self) {
        match self.rng.u8(..20) {
            0 if self.may_pass() => self.pass_s(0..3),
            1 if self.workers.iter().all(|worker| matches!(worker, Worker::Idle)) && self.faults == 0 => {
                self.pass_s(3600..12 * 3600);
            }
            1 if !self.is_fair => self.pass_s(10..60),
            2 if self.rng.u8(..10) == 0 => self.install().await,
            _ => {
                let at = self.rng.usize(..self.workers.len());
                self.act(at).await;
                if matches!(self.workers[at], Worker::Idle) && self.faults > 0 && self.may_pass() {
                    // Somebody looks again every second.
                    self.pass(limits::REFRESH_SWEEP);
                }
            }
        }
    }

    async fn act(&mut self, at: usize) {
        let worker = std::mem::replace(&mut self.workers[at], Worker::Idle);
        if !matches!(worker, Worker::Idle) && self.may_fail() {
            return self.dies(worker).await;
        }
        self.workers[at] = match worker {
            Worker::Idle => {
                self.take().await.map_or(Worker::Idle, |refresh| Worker::Holds(Box::new(refresh)))
            }
            Worker::Holds(refresh) if self.now.after(limits::SLACK_TIMEOUT) > refresh.leased_until => {
                Worker::Idle
            }
            Worker::Holds(refresh) => {
                self.slack.in_flight += 1;
                assert_eq!(self.slack.in_flight, 1, "two refreshes in flight");
                let asked = &text(&refresh.refresh_token);
                let is_at_once = self.rng.bool();
                let done = is_at_once.then(|| self.slack.refresh(asked, self.now));
                Worker::Calls { refresh, began_at: self.now, done }
            }
            Worker::Calls { refresh, done, .. } => {
                self.slack.in_flight -= 1;
                let asked = &text(&refresh.refresh_token);
                let is_lost = self.may_fail();
                let result = match done {
                    None if is_lost && self.rng.bool() => RefreshResult::NotReached("no way".to_owned()),
                    None => self.slack.refresh(asked, self.now),
                    Some(done) => done,
                };
                let result = match result {
                    RefreshResult::Renewed(_) if is_lost => RefreshResult::Unknown("cut off".to_owned()),
                    result => result,
                };
                let next = refresh::after(&refresh, result, self.now, &Steady);
                Worker::Settles(refresh, next)
            }
            Worker::Settles(refresh, next) => {
                let settled =
                    self.scene.store.refresh_settle(&refresh, next.clone(), self.now).await.unwrap();
                match (settled, next) {
                    (Settled::Done, RefreshNext::Renewed(pair)) => {
                        self.kept = text(&pair.refresh_token);
                        self.faults = 0;
                        Worker::Idle
                    }
                    // It waits how the other's try ends.
                    (Settled::Outrun, next @ RefreshNext::Renewed(_)) => Worker::Settles(refresh, next),
                    _ => Worker::Idle,
                }
            }
        };
    }

    /// By the sweep, or for a call that meets an expired token.
    async fn take(&mut self) -> Option<Refresh> {
        let (store, until) = (&self.scene.store, self.now.after(limits::REFRESH_LEASE));
        if self.rng.u8(..4) > 0 {
            return store.refresh_claim(self.now, until, 1).await.unwrap().pop();
        }
        let (tenant, id, kind) = (&self.scene.acme, self.installation, CredentialKind::Bot);
        let live = store.installation_token(tenant, id, kind).await.unwrap()?;
        // Calls renew only what has ended, or is about to.
        live.expires_at.filter(|at| *at <= self.now)?;
        let leasing = store.refresh_lease(tenant, id, kind, live.generation, self.now, until).await.unwrap();
        match leasing {
            Leasing::Taken(refresh) => Some(*refresh),
            Leasing::Busy | Leasing::Not => None,
        }
    }

    /// A process is killed, whatever it was doing; of a file's only server the next begins with that in mind.
    async fn dies(&mut self, worker: Worker) {
        if let Worker::Calls { refresh, done, .. } = worker {
            self.slack.in_flight -= 1;
            if done.is_none() && self.rng.bool() {
                let asked = &text(&refresh.refresh_token);
                self.slack.refresh(asked, self.now);
            }
        }
        if self.workers.len() == 1 {
            self.scene.store.refresh_reap().await.unwrap();
        }
    }

    async fn goes_on(&mut self, times: u32, pace: Duration) {
        for _ in 0..times {
            for at in 0..self.workers.len() {
                self.act(at).await;
            }
            self.pass(pace);
        }
    }

    fn is_bricked(&self) -> bool {
        self.slack.refused.contains(&self.kept)
    }

    /// With nothing more going wrong, either it works, or it is shown as what has to be connected again.
    async fn ends_well(&mut self) {
        self.is_over = true;
        // Long enough for every lease and every pause after a lost answer.
        self.goes_on(20, 2 * limits::REFRESH_SWEEP).await;
        for _ in 0..4 {
            self.goes_on(8, Duration::ZERO).await;
            self.pass(Duration::from_secs(3 * 3600));
        }
        self.goes_on(8, Duration::ZERO).await;
        let (tenant, id) = (&self.scene.acme, self.installation);
        let kept = self.scene.store.installation_at(tenant, &self.team).await.unwrap().unwrap();
        let live =
            self.scene.store.installation_token(tenant, id, CredentialKind::Bot).await.unwrap().unwrap();
        let works = self.slack.live.iter().any(|token| token == live.token.expose())
            && live.expires_at.is_some_and(|at| at > self.now);
        let health = if self.is_bricked() { Health::Broken } else { Health::Connected };
        assert_eq!(
            (kept.health, works),
            (health, !self.is_bricked()),
            "seed {}, grace {:?}, keeps {}, lives {:?}",
            self.team,
            self.slack.grace,
            live.token.expose(),
            self.slack.live
        );
    }
}
