//! How an installation does: what the store knows of it, and what of that somebody should do something about. The API, the
//! dashboard and alerts say the same, as all of them ask here.

use tautline_slack::scopes;

use crate::event_share::Share;
use crate::installation::{CredentialKind, Health, Installation};
use crate::refresh::Rotation;
use crate::{Timestamp, limits};

/// What the store knows of an installation beside itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its tokens.
    pub tokens: Vec<TokenStanding>,
    /// When the last request of its workspace came, if that is among the tenant's last
    /// [`limits::LAST_EVENT_SEEN`](crate::limits::LAST_EVENT_SEEN).
    pub last_event_at: Option<Timestamp>,
    /// Slack's last word against it, and when it came.
    pub last_error: Option<(String, Timestamp)>,
}

/// How a token does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenStanding {
    /// Whose it is.
    pub kind: CredentialKind,
    /// How it ends.
    pub rotation: Rotation,
    /// When it ends, unless it is renewed.
    pub expires_at: Option<Timestamp>,
    /// Why it was not renewed when that was tried last.
    pub error: Option<String>,
}

/// Something that somebody should do something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// For programs; these names do not change.
    pub code: &'static str,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub fix: &'static str,
}

const RECONNECT: &str = "connect the workspace again; nothing else is lost";

/// What is wrong with an installation, the worst first. `asked` is what the gateway asks for; `share` is that of Slack's
/// requests which the whole app failed to answer in the last hour.
pub fn problems(
    installation: &Installation,
    standing: &Standing,
    asked: &[String],
    share: Share,
    now: Timestamp,
) -> Vec<Problem> {
    let mut found = Vec::new();
    if installation.health == Health::Broken {
        let word = standing.last_error.as_ref().map(|(word, _)| format!(" ({word})")).unwrap_or_default();
        let bot = standing.tokens.iter().find(|token| token.kind == CredentialKind::Bot);
        let lives = bot.filter(|bot| bot.rotation == Rotation::Ended).and_then(|bot| bot.expires_at);
        let text = match lives.filter(|at| now < *at) {
            Some(at) => format!("Slack renews the bot's token no more{word}: it ends at {at}"),
            None => format!("Slack does not take the bot's token any more{word}"),
        };
        found.push(Problem { code: "token_dead", text, fix: RECONNECT });
    }
    for token in &standing.tokens {
        let whose = if token.kind == CredentialKind::User { "person's" } else { "bot's" };
        match (&token.rotation, &token.error) {
            (Rotation::Ended, error) if token.kind == CredentialKind::User => {
                let text = format!(
                    "Slack renews the person's token no more ({})",
                    error.as_deref().unwrap_or("ended")
                );
                found.push(Problem { code: "user_token_dead", text, fix: RECONNECT });
            }
            (Rotation::Rotating, Some(error)) => {
                let until = token.expires_at.map(|at| format!(" and ends at {at}")).unwrap_or_default();
                let text = format!("the {whose} token could not be renewed yet ({error}){until}");
                let fix = "it is tried again; if the word is about the app, check SLACK_CLIENT_ID and SLACK_CLIENT_SECRET";
                found.push(Problem { code: "token_not_renewed", text, fix });
            }
            _ => {}
        }
    }
    let missing = scopes::missing(asked, &installation.facts.scopes);
    if !missing.is_empty() {
        let text = format!("it was not granted {}", missing.join(", "));
        found.push(Problem {
            code: "scopes_missing",
            text,
            fix: "connect the workspace again to grant them",
        });
    }
    if installation.rate_limited_at.is_some_and(|at| now.since(at) < limits::RATE_LIMIT_SAID) {
        let text = "Slack holds events back: more than 30,000 in an hour".to_owned();
        found.push(Problem { code: "events_held_back", text, fix: "subscribe to fewer events" });
    }
    let is_near = share.all >= limits::EVENT_SHARE_LEAST
        && u64::from(share.failed) * 100 >= u64::from(share.all) * limits::EVENT_SHARE_PERCENT;
    if is_near {
        let text = format!(
            "{} of the last hour's {} requests of Slack were not answered; at 95 % Slack switches the app's events off, for every workspace",
            share.failed, share.all
        );
        found.push(Problem { code: "events_at_risk", text, fix: "see the gateway's log for the reason" });
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tautline_slack::{AppId, TeamId};

    use super::*;
    use crate::InstallationId;
    use crate::installation::Facts;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
    const NONE: Share = Share { failed: 0, all: 0 };

    fn installation(health: Health) -> Installation {
        Installation {
            id: InstallationId::from_bytes([1; 16]),
            tenant: "acme".parse().unwrap(),
            facts: Facts {
                app: AppId::new("A1"),
                team: Some(TeamId::new("T1")),
                team_name: None,
                enterprise: None,
                enterprise_name: None,
                is_enterprise_install: false,
                scopes: vec!["commands".into()],
                bot_user_id: None,
                bot_id: None,
            },
            health,
            granted_teams: Vec::new(),
            rate_limited_at: None,
            installed_at: NOW,
            updated_at: NOW,
        }
    }

    fn codes(
        installation: &Installation,
        standing: &Standing,
        asked: &[&str],
        share: Share,
    ) -> Vec<&'static str> {
        let asked = asked.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
        problems(installation, standing, &asked, share, NOW).iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn one_that_does_well_has_no_problems() {
        let token = |rotation, error: Option<&str>| TokenStanding {
            kind: CredentialKind::Bot,
            rotation,
            expires_at: Some(NOW),
            error: error.map(str::to_owned),
        };
        let well = installation(Health::Connected);
        let with = |tokens| Standing { tokens, ..Standing::default() };
        assert!(codes(&well, &with(vec![token(Rotation::Rotating, None)]), &["commands"], NONE).is_empty());
        assert_eq!(
            codes(&well, &with(vec![token(Rotation::Rotating, Some("lost"))]), &[], NONE),
            ["token_not_renewed"]
        );
        let user =
            TokenStanding { kind: CredentialKind::User, ..token(Rotation::Ended, Some("token_revoked")) };
        assert_eq!(codes(&well, &with(vec![user]), &[], NONE), ["user_token_dead"]);
    }

    #[test]
    fn the_worst_comes_first_and_says_slacks_word() {
        let mut bad = installation(Health::Broken);
        bad.rate_limited_at = Some(NOW.before(Duration::from_secs(3599)));
        let standing = Standing { last_error: Some(("token_revoked".into(), NOW)), ..Standing::default() };
        let near = Share { failed: 50, all: 100 };
        assert_eq!(
            codes(&bad, &standing, &["commands", "chat:write"], near),
            ["token_dead", "scopes_missing", "events_held_back", "events_at_risk"]
        );
        let said = problems(&bad, &standing, &[], NONE, NOW);
        assert!(said[0].text.contains("token_revoked"), "{said:?}");
        bad.rate_limited_at = Some(NOW.before(Duration::from_secs(3600)));
        assert_eq!(codes(&bad, &standing, &[], Share { failed: 49, all: 100 }), ["token_dead"]);
    }
}
