//! Installs that begin at Slack (its directory, a shared link, an approval that came late) bring no state. They are redeemed,
//! as a code lives ten minutes, and wait sealed until somebody who is signed in claims them. Nobody gets one by itself.

use std::net::IpAddr;

use secrecy::ExposeSecret as _;
use tautline_core::parked::Parked;
use tautline_core::{InstallationId, SecretHash, StoreError, limits, new_secret};

use url::Url;

use super::ending::Ending;
use super::redeem::{self, Answers};
use crate::app::App;
use crate::error::chain;
use crate::page::{Link, Notice, Tone};

/// The page on which one is claimed.
pub(crate) const CLAIM: &str = "/channels/slack/claim";

/// Keeps what a code stands for, and says where it is claimed: an address that can be loaded again.
pub(super) async fn park(app: &App, code: &str, from: Option<IpAddr>) -> Result<Url, Ending> {
    // Anybody can bring a code, and each is a call of Slack's that renewing tokens needs as well.
    let Ok(_place) = app.parking.try_acquire() else { return Err(Ending::Busy) };
    if app.failures.is_over(from, app.clock.now()) {
        return Err(Ending::Busy);
    }
    let answers = redeem::ask(app, code).await.inspect_err(|_| {
        app.failures.count(from, code, app.clock.now());
    })?;
    let (now, secret) = (app.clock.now(), new_secret(app.rng.as_ref()));
    let id = InstallationId::generate(now, app.rng.as_ref());
    let text = serde_json::to_vec(&answers).expect("what was JSON is JSON");
    let parked = Parked { id, answers: text.into() };
    let expires_at = now.after(limits::PARKED_INSTALL);
    app.store.install_park(parked, SecretHash::of(&secret), expires_at, now).await?;
    let mut claim = app.settings.public(CLAIM);
    claim.query_pairs_mut().append_pair("install", &secret);
    tracing::info!(installation = %id, "an install that began at Slack waits for somebody who claims it");
    Ok(claim)
}

/// For somebody who is not signed in: what this is, and where to go on.
pub(crate) fn notice(place: &str, claim: &str) -> Notice {
    let mut sign_in = form_urlencoded::Serializer::new(String::new());
    sign_in.append_pair("return_to", claim);
    Notice {
        status: http::StatusCode::OK,
        code: "install_parked",
        tone: Tone::Waiting,
        title: format!("{place} has the app now"),
        lead: "This began at Slack, which does not know your account here.".into(),
        next: "Sign in, and connect it to your account. It waits for half an hour; after that, begin anew."
            .into(),
        link: Some(Link { href: format!("/sign-in?{}", sign_in.finish()), text: "Sign in".into() }),
    }
}

/// What waits behind a secret.
pub(crate) async fn parked(app: &App, secret: &str) -> Result<Option<(InstallationId, Answers)>, StoreError> {
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
