//! People by their e-mail addresses. An address is remembered for an hour, by its hash: it is nobody's to keep.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use tautline_core::sending::SendResult;
use tautline_core::{InstallationId, Purpose, Timestamp, limits};
use tautline_slack::WebApiCall;
use tautline_slack::web_api::Authorization;

use super::perform::not_done;
use crate::app::{App, lock};
use crate::installations::acting::Acting;

/// Whose the addresses are that were asked for last.
#[derive(Default)]
pub(crate) struct People(Mutex<HashMap<Hash, (String, Timestamp)>>);

type Hash = [u8; 32];

/// What an address of a workspace is known by: with our keys only, or whoever has a list of addresses could tell whose they are.
pub(super) fn hash(app: &App, installation: InstallationId, email: &str) -> Hash {
    let address = [installation.as_bytes(), email.trim().to_lowercase().as_bytes()].concat();
    app.vault.tag(Purpose::EmailAddress, &address)
}

impl People {
    fn known(&self, hash: &Hash, now: Timestamp) -> Option<String> {
        let known = lock(&self.0);
        known.get(hash).filter(|(_, until)| *until > now).map(|(user, _)| user.clone())
    }

    fn remember(&self, hash: Hash, user: String, now: Timestamp) {
        let (life, most) = limits::EMAIL_BELIEVED;
        let mut known = lock(&self.0);
        if known.len() >= most {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() < most {
            known.insert(hash, (user, now.after(life)));
        }
    }
}

/// The id of the user who has an address.
pub(super) async fn by_email(acting: &Acting, email: &str) -> Result<String, SendResult> {
    #[derive(Deserialize)]
    struct Found {
        user: User,
    }
    #[derive(Deserialize)]
    struct User {
        id: String,
    }
    let app = &acting.app;
    let hash = hash(app, acting.installation, email);
    if let Some(user) = app.people.known(&hash, app.clock.now()) {
        return Ok(user);
    }
    // Whoever waits here keeps a place from others, and comes again.
    let acting = acting.paced(Duration::ZERO);
    let found = acting.call::<Found>(|token| WebApiCall {
        method: "users.lookupByEmail",
        authorization: Authorization::Bearer(token),
        form: vec![("email", email.to_owned())],
    });
    match found.await {
        Ok(reply) => {
            app.people.remember(hash, reply.answer.user.id.clone(), app.clock.now());
            Ok(reply.answer.user.id)
        }
        // To look is no message: whatever became of it, nothing stands in Slack.
        Err(error) => Err(match not_done(error) {
            SendResult::Unknown(why) => SendResult::NotReached(why),
            // Slack limits looking, and not what is said.
            limited @ SendResult::Limited { .. } => {
                SendResult::NotReached(limited.error().unwrap_or_default())
            }
            other => other,
        }),
    }
}
