//! Renewing tokens that expire: who may, when, and what follows.
//!
//! Slack's refresh tokens are good for one use. Of two that use one at once, one is left with a pair that will not work; and
//! whoever used one and lost the answer has only a short grace to use it again. So there is a row for each token that can be
//! renewed. Whoever renews it first takes the row's lease, in a commit of its own; then asks Slack, with no lock held; then
//! stores the new pair, if both the row's attempt and the token's generation are still those it began with. A re-install
//! replaces both, and so is never undone by an answer that comes late. A lease outlives the call it is for, so that two calls
//! are never under way; whoever dies with it leaves the token to be renewed again as soon as it has run out.

use std::time::Duration;

use async_trait::async_trait;
use tautline_slack::web_api::is_dead_refresh;
use tautline_slack::{AppId, Token};

use crate::installation::{Credential, CredentialKind};
use crate::names::names;
use crate::{InstallationId, Rng, StoreResult, TenantId, Timestamp, limits, pace};

/// How a token ends, and what is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It has no end. It is exchanged for one that has, once the app is known to rotate its tokens.
    Endless,
    /// It expires, and is renewed before it does.
    Rotating,
    /// It has no end, and that stays so: it is the company's own, another program has it as well, or Slack does not
    /// exchange it.
    Kept,
    /// Slack renews it no more: the workspace has to be connected again.
    Ended,
}

names!(Rotation { Endless = "endless", Rotating = "rotating", Kept = "kept", Ended = "ended" });

impl Rotation {
    /// How a new token of a tenant's ends.
    pub fn of(tenant: &TenantId, credential: &Credential) -> Self {
        match (&credential.refresh_token, credential.expires_at) {
            // That of the environment is read anew at every start: exchanged, it would be of no use there.
            _ if tenant.is_home() => Self::Kept,
            (Some(_), Some(_)) => Self::Rotating,
            (Some(_), None) | (None, Some(_)) => Self::Kept,
            (None, None) => Self::Endless,
        }
    }
}

/// When a token is renewed that was got at a time: two hours before its end, or for one that lives shorter than four, when
/// half of its life is over.
pub fn due_at(expires_at: Timestamp, now: Timestamp) -> Timestamp {
    expires_at.before(limits::REFRESH_AHEAD.min(expires_at.since(now) / 2))
}

/// A token to be renewed, and the right to do so until the lease ends.
#[derive(Clone, Debug)]
pub struct Refresh {
    /// Whose it is.
    pub tenant: TenantId,
    /// Of which installation.
    pub installation: InstallationId,
    /// Whose token it is.
    pub kind: CredentialKind,
    /// Of which app.
    pub app: AppId,
    /// The number of this attempt at this token.
    pub attempt: u32,
    /// Which token it is: see [`LiveToken::generation`].
    pub generation: i64,
    /// The token.
    pub token: Token,
    /// What renews it; without one it is exchanged.
    pub refresh_token: Option<Token>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Until when nobody else renews it.
    pub leased_until: Timestamp,
}

/// A token as it is now.
#[derive(Clone, Debug)]
pub struct LiveToken {
    /// The token.
    pub token: Token,
    /// Counts the tokens of this kind that the installation had: whoever says that one is dead, or renews it, names the one.
    pub generation: i64,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Whether there is something to renew it with, and Slack has not refused to.
    pub renews: bool,
}

/// What becomes of a wish to renew a token at once.
#[derive(Debug)]
pub enum Leasing {
    /// It may be done.
    Taken(Box<Refresh>),
    /// Somebody else is at it.
    Busy,
    /// It need not be done, or cannot: there is another token by now, or it is not one that is renewed, or trying has failed
    /// and is to wait.
    Not,
}

/// How asking Slack ended.
#[derive(Clone, Debug)]
pub enum RefreshResult {
    /// Slack gave a new pair.
    Renewed(Credential),
    /// Slack said no; the text is Slack's own word.
    Refused(String),
    /// Slack asks for patience.
    Limited {
        /// For how long, when it said.
        retry_after: Option<Duration>,
    },
    /// It surely did not reach Slack.
    NotReached(String),
    /// It may have reached Slack, and have used the refresh token up: there was no complete answer.
    Unknown(String),
}

/// What follows.
#[derive(Clone, Debug)]
pub enum RefreshNext {
    /// The new pair takes the old one's place.
    Renewed(Credential),
    /// It is tried again.
    Again {
        /// When.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// Slack does not exchange it; it works on without an end.
    Kept,
    /// Slack renews it no more.
    Ended {
        /// Slack's word.
        error: String,
    },
}

/// What became of putting it on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is on record.
    Done,
    /// Somebody else is at the token by now. Whoever has a new pair waits how that ends: should Slack have ended the token,
    /// the pair is the only good one.
    Outrun,
    /// Another token is in its place.
    Replaced,
}

/// What follows an attempt that ended now.
pub fn after(refresh: &Refresh, result: RefreshResult, now: Timestamp, rng: &dyn Rng) -> RefreshNext {
    let again = |wait: Duration, error: String| RefreshNext::Again { at: now.after(wait), error };
    let doubled = |from: Duration| {
        let wait = from * 2_u32.saturating_pow(refresh.attempt.saturating_sub(1).min(16));
        let wait = wait.min(limits::REFRESH_PAUSES.1);
        wait + Duration::from_millis(rng.up_to(wait.as_millis() as u64 / 8))
    };
    match result {
        RefreshResult::Renewed(credential) => RefreshNext::Renewed(credential),
        // At once: Slack may have used the refresh token up, and only for a short grace it can be used again.
        RefreshResult::Unknown(error) => again(doubled(limits::REFRESH_PAUSES.0), error),
        RefreshResult::NotReached(error) => again(doubled(limits::REFRESH_PAUSES.0), error),
        RefreshResult::Limited { retry_after } => {
            let wait = pace::rest(retry_after);
            let jitter = Duration::from_millis(rng.up_to(limits::REFRESH_REFUSED.as_millis() as u64));
            again(wait + jitter, "Slack asked to wait".to_owned())
        }
        RefreshResult::Refused(error) if refresh.refresh_token.is_none() => match error.as_str() {
            // The first: an answer of Slack's was lost. The old token works until the new one is first used up.
            "token_already_exchanged" | "token_rotation_not_enabled" | "authorization_not_found" => {
                RefreshNext::Kept
            }
            error if is_dead_refresh(error) || error == "invalid_token" => {
                RefreshNext::Ended { error: error.to_owned() }
            }
            error => again(doubled(limits::REFRESH_REFUSED), error.to_owned()),
        },
        RefreshResult::Refused(error) if is_dead_refresh(&error) => RefreshNext::Ended { error },
        RefreshResult::Refused(error) => again(doubled(limits::REFRESH_REFUSED), error),
    }
}

/// The store's record of what is renewed.
#[async_trait]
pub trait Refreshes {
    /// Takes tokens that are due, a few at a time, those first that are due longest.
    async fn refresh_claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: usize,
    ) -> StoreResult<Vec<Refresh>>;

    /// Takes one token of a tenant's, due or not, if it is still of this generation.
    async fn refresh_lease(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        kind: CredentialKind,
        generation: i64,
        now: Timestamp,
        leased_until: Timestamp,
    ) -> StoreResult<Leasing>;

    /// Puts on record what follows, and gives the lease back. Ended, a bot's token makes its installation broken in the same
    /// commit; a new pair mends one that a later attempt took for ended.
    async fn refresh_settle(
        &self,
        refresh: &Refresh,
        next: RefreshNext,
        now: Timestamp,
    ) -> StoreResult<Settled>;

    /// Sees to it that every token has its row: those that an earlier version stored have none. Looks at a part, tenant by
    /// tenant, and says after which the next part begins; `None` at the end. Again is no harm.
    async fn refresh_reconcile(
        &self,
        after: Option<TenantId>,
        now: Timestamp,
    ) -> StoreResult<Option<TenantId>>;

    /// Gives back all leases: nobody else serves this store, and whoever held them is gone.
    async fn refresh_reap(&self) -> StoreResult<()>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn refresh(attempt: u32, refresh_token: Option<&str>) -> Refresh {
        Refresh {
            tenant: "acme".parse().unwrap(),
            installation: InstallationId::from_bytes([1; 16]),
            kind: CredentialKind::Bot,
            app: AppId::new("A1"),
            attempt,
            generation: 1,
            token: Token::new("xoxb"),
            refresh_token: refresh_token.map(Token::new),
            expires_at: None,
            leased_until: NOW,
        }
    }

    fn wait_s(next: &RefreshNext) -> u64 {
        match next {
            RefreshNext::Again { at, .. } => at.since(NOW).as_secs(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_is_renewed_two_hours_ahead_or_at_half_its_life() {
        let after = |seconds| NOW.after(Duration::from_secs(seconds));
        assert_eq!(due_at(after(43_200), NOW), after(36_000));
        assert_eq!(due_at(after(600), NOW), after(300));
    }

    #[test]
    fn a_lost_answer_is_asked_for_within_the_grace() {
        let unknown = || RefreshResult::Unknown("timed out".into());
        let waits = [1, 2, 3, 20]
            .map(|attempt| wait_s(&after(&refresh(attempt, Some("xoxe")), unknown(), NOW, &SystemRng)));
        assert_eq!((waits[0], waits[1], waits[2]), (1, 2, 4));
        assert!((300..340).contains(&waits[3]), "at most five minutes apart");
    }

    #[test]
    fn what_slack_refuses_for_good_has_ended_and_our_own_faults_end_nothing() {
        let of = |token, error: &str| {
            after(&refresh(1, token), RefreshResult::Refused(error.into()), NOW, &SystemRng)
        };
        for word in ["invalid_refresh_token", "account_inactive", "token_revoked"] {
            assert!(matches!(of(Some("xoxe"), word), RefreshNext::Ended { .. }), "{word}");
        }
        for word in ["bad_client_secret", "invalid_client_id", "internal_error", "who_knows"] {
            assert!(wait_s(&of(Some("xoxe"), word)) >= 60, "{word}");
        }
        assert!(matches!(of(None, "token_already_exchanged"), RefreshNext::Kept));
        assert!(matches!(of(None, "token_rotation_not_enabled"), RefreshNext::Kept));
        assert!(matches!(of(None, "account_inactive"), RefreshNext::Ended { .. }));
        assert!(wait_s(&of(None, "fatal_error")) >= 60);
    }

    #[test]
    fn what_slack_asks_for_is_given() {
        let limited = RefreshResult::Limited { retry_after: Some(Duration::from_secs(42)) };
        let wait = wait_s(&after(&refresh(9, Some("xoxe")), limited, NOW, &SystemRng));
        assert!((42..=102).contains(&wait), "and not all of them at once: {wait}");
    }

    #[test]
    fn the_companys_own_token_stays_as_it_is() {
        let bot = Credential {
            kind: CredentialKind::Bot,
            token: Token::new("xoxb"),
            refresh_token: None,
            expires_at: None,
        };
        assert_eq!(Rotation::of(&TenantId::home(), &bot), Rotation::Kept);
        let acme = "acme".parse().unwrap();
        assert_eq!(Rotation::of(&acme, &bot), Rotation::Endless);
        let rotating = Credential { refresh_token: Some(Token::new("xoxe")), expires_at: Some(NOW), ..bot };
        assert_eq!(Rotation::of(&acme, &rotating), Rotation::Rotating);
    }
}
