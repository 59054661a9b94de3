//! Installs that begin at Slack (its directory, a shared link, an approval that came late) bring no state. They are redeemed,
//! as a code lives ten minutes, and wait sealed until somebody who is signed in claims them. Nobody gets one by itself.

use tautline_core::parked::Parked;
use tautline_core::{InstallationId, SecretHash, limits, new_secret};

use super::ending::Ending;
use super::redeem::{self, Answers};
use crate::app::App;
use crate::error::chain;
use crate::page::{Link, Notice, Tone};

/// The page on which one is claimed.
pub(crate) const CLAIM: &str = "/channels/slack/claim";

/// Keeps what a code stands for, and shows the person where it is claimed.
pub(super) async fn park(app: &App, code: &str) -> Result<Notice, Ending> {
    let answers = redeem::ask(app, code).await?;
    let place = answers.place();
    let (now, secret) = (app.clock.now(), new_secret(app.rng.as_ref()));
    let id = InstallationId::generate(now, app.rng.as_ref());
    let text = serde_json::to_vec(&answers).expect("what was JSON is JSON");
    let parked = Parked { id, answers: text.into() };
    let expires_at = now.after(limits::PARKED_INSTALL);
    app.store.install_park(parked, SecretHash::of(&secret), expires_at, now).await?;
    let mut claim = app.settings.public(CLAIM);
    claim.query_pairs_mut().append_pair("install", &secret);
    tracing::info!(installation = %id, "an install that began at Slack waits for somebody who claims it");
    Ok(Notice {
        status: http::StatusCode::OK,
        code: "install_parked",
        tone: Tone::Waiting,
        title: format!("{place} has the app now"),
        lead: "It is not connected to an account yet: this began at Slack, which does not know yours.".into(),
        next: "Go on, and sign in if you are asked to. It waits for half an hour; after that, begin anew."
            .into(),
        link: Some(Link { href: claim.into(), text: "Connect it to my account".into() }),
    })
}

/// What waits behind a secret.
pub(crate) async fn parked(
    app: &App,
    secret: &str,
) -> Result<Option<(InstallationId, Answers)>, tautline_core::StoreError> {
    use secrecy::ExposeSecret as _;
    let found = app.store.install_parked(SecretHash::of(secret), app.clock.now()).await?;
    let Some(found) = found else { return Ok(None) };
    match serde_json::from_slice(found.answers.expose_secret()) {
        Ok(answers) => Ok(Some((found.id, answers))),
        Err(error) => {
            // Of the error only its kind: its text could repeat what was read.
            tracing::error!(installation = %found.id, kind = ?error.classify(), "what waits cannot be read");
            Ok(None)
        }
    }
}

/// Somebody claimed it.
pub(crate) async fn unpark(app: &App, id: InstallationId) {
    if let Err(error) = app.store.install_unpark(id).await {
        tracing::warn!(error = %chain(&error), "a claimed install waits on until its half hour is over");
    }
}
