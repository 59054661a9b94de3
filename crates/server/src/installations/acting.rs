//! Acting as an installation: its token is taken from the vault for the call, and renewed where it has ended.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tautline_core::installation::CredentialKind;
use tautline_core::outbox::Passing;
use tautline_core::refresh::LiveToken;
use tautline_core::{InstallationId, StoreError, StoreResult, TenantId, Timestamp, limits};
use tautline_slack::web_api::is_dead_token;
use tautline_slack::{AuthTest, Refusal, Token, WebApiCall};

use super::{changes, paced, refresh};
use crate::app::App;
use crate::egress::{CallError, Reply};

/// An installation, as who acts.
#[derive(Clone)]
pub(crate) struct Acting {
    pub(crate) app: Arc<App>,
    pub(crate) tenant: TenantId,
    pub(crate) installation: InstallationId,
    pub(crate) kind: CredentialKind,
    /// Whatever is sent must be answered by then: it is somebody else's afterwards.
    pub(crate) until: Option<Timestamp>,
    /// How long a call waits for its turn. `None`: it takes none, as its lane has (or, of what handlers ask, nobody).
    pub(crate) patience: Option<Duration>,
}

/// What a refusal says of the token.
pub(crate) enum Verdict {
    /// It was not taken, and this is another.
    Another(LiveToken),
    /// It has ended, and renewing it has not worked yet.
    Renewing,
    /// It will not work again.
    Dead {
        /// Which token it is.
        generation: i64,
    },
    /// The fault is not the token's.
    Elsewhere,
}

/// Why a call was not made, or has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActingError {
    #[error("the installation has no bot token")]
    NoToken,
    #[error("the token has ended, and Slack has not renewed it yet")]
    Renewing,
    #[error("the gateway was held up")]
    HeldUp,
    #[error("{why}")]
    TooSoon {
        /// When to come again.
        at: Timestamp,
        why: String,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Call(#[from] CallError),
}

impl Acting {
    /// As an installation's bot.
    pub(crate) fn bot(app: &Arc<App>, tenant: &TenantId, installation: InstallationId) -> Self {
        Self {
            app: app.clone(),
            tenant: tenant.clone(),
            installation,
            kind: CredentialKind::Bot,
            until: None,
            patience: None,
        }
    }

    /// The same, whose calls take a turn each, and wait for it so long at most.
    pub(crate) fn paced(&self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self.clone() }
    }

    /// The token, if there is one; renewed, if it is about to end.
    pub(crate) async fn token(&self) -> StoreResult<Option<LiveToken>> {
        let found = self.app.store.installation_token(&self.tenant, self.installation, self.kind).await?;
        let soon = self.app.clock.now().after(limits::TOKEN_LEAST_LIFE);
        match found {
            Some(live) if live.expires_at.is_some_and(|at| at <= soon) => self.renewed(live).await,
            found => Ok(found),
        }
    }

    /// What Slack's refusal of a call says of the token that it was made with.
    pub(crate) async fn verdict(&self, refused: LiveToken, error: &str) -> StoreResult<Verdict> {
        let generation = refused.generation;
        let found = match error {
            "token_expired" => self.renewed(refused).await?,
            error if is_dead_token(error) => {
                self.app.store.installation_token(&self.tenant, self.installation, self.kind).await?
            }
            _ => return Ok(Verdict::Elsewhere),
        };
        Ok(match found {
            Some(another) if another.generation != generation => Verdict::Another(another),
            Some(same) if error == "token_expired" && same.renews => Verdict::Renewing,
            _ => Verdict::Dead { generation },
        })
    }

    /// The same; that it is dead is put on record.
    pub(crate) async fn conclude(&self, refused: LiveToken, error: &str) -> StoreResult<Verdict> {
        let token = refused.token.clone();
        let verdict = self.verdict(refused, error).await?;
        // Slack says this word of some methods and networks as well: it is asked about the token itself.
        if matches!(verdict, Verdict::Dead { .. }) && error == "invalid_auth" {
            let tested = self.app.slack.call::<AuthTest>(WebApiCall::auth_test(token)).await;
            if !matches!(&tested, Err(CallError::Refused(Refusal::Error(word))) if is_dead_token(word)) {
                return Ok(Verdict::Elsewhere);
            }
        }
        if let Verdict::Dead { generation } = verdict
            && self.kind == CredentialKind::Bot
        {
            // Told to the end, even if whoever called hangs up.
            let (acting, error) = (self.clone(), error.to_owned());
            let dead = async move {
                changes::dead(&acting.app, &acting.tenant, acting.installation, &error, generation).await;
            };
            let _ = self.app.tasks.spawn(dead).await;
        }
        Ok(verdict)
    }

    async fn post<T: DeserializeOwned>(
        &self,
        call: WebApiCall,
        turn: Option<&Passing>,
    ) -> Result<Result<Reply<T>, CallError>, ActingError> {
        if self.until.is_some_and(|until| self.app.clock.now().after(limits::SLACK_TIMEOUT) > until) {
            return Err(ActingError::HeldUp);
        }
        let answered = self.app.slack.call(call).await;
        match (turn, &answered) {
            (Some(turn), Err(CallError::Refused(Refusal::RateLimited { retry_after_s }))) => {
                Err(paced::limited(&self.app, turn, retry_after_s.map(Duration::from_secs)).await)
            }
            _ => Ok(answered),
        }
    }

    async fn renewed(&self, live: LiveToken) -> StoreResult<Option<LiveToken>> {
        refresh::renewed(&self.app, &self.tenant, self.installation, self.kind, live).await
    }

    /// Makes a call; once more with another token, if Slack did not take the first. An installation whose token is dead is
    /// put on record as broken.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        make: impl Fn(Token) -> WebApiCall,
    ) -> Result<Reply<T>, ActingError> {
        self.made(make, true).await
    }

    /// Makes a call in the same way, which concludes nothing.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        make: impl Fn(Token) -> WebApiCall,
    ) -> Result<Reply<T>, ActingError> {
        self.made(make, false).await
    }

    async fn made<T: DeserializeOwned>(
        &self,
        make: impl Fn(Token) -> WebApiCall,
        concludes: bool,
    ) -> Result<Reply<T>, ActingError> {
        let first = self.token().await?.ok_or(ActingError::NoToken)?;
        let call = make(first.token.clone());
        let turn = match self.patience {
            Some(patience) => paced::turn(self, call.method, patience).await?,
            None => None,
        };
        let answered = self.post(call, turn.as_ref()).await?;
        let Some(word) = word(&answered) else { return Ok(answered?) };
        let verdict = match concludes {
            true => self.conclude(first, word).await?,
            false => self.verdict(first, word).await?,
        };
        match verdict {
            Verdict::Another(another) => Ok(self.post(make(another.token), turn.as_ref()).await??),
            Verdict::Renewing => Err(ActingError::Renewing),
            Verdict::Dead { .. } | Verdict::Elsewhere => Ok(answered?),
        }
    }
}

fn word<T>(answered: &Result<Reply<T>, CallError>) -> Option<&str> {
    match answered {
        Err(CallError::Refused(Refusal::Error(word))) => Some(word),
        _ => None,
    }
}
