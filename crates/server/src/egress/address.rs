//! Where an endpoint is, and how what goes there is signed.

use secrecy::ExposeSecret as _;
use tautline_core::Timestamp;
use tautline_core::endpoint::{Kept, Target};
use tautline_slack::signing::SigningSecret;
use url::Url;

use super::standard::StandardSecret;

/// An endpoint's URL, the form of what goes there, and its secrets.
#[derive(Clone)]
pub(crate) struct Address {
    pub(crate) url: Url,
    pub(super) form: Form,
}

#[derive(Clone)]
pub(super) enum Form {
    Slack(Secrets<SigningSecret>),
    Standard(Secrets<StandardSecret>),
}

/// The secret in force, and the one before it while that is good as well.
#[derive(Clone)]
pub(super) struct Secrets<S> {
    pub(super) now: S,
    before: Option<(S, Timestamp)>,
}

impl<S> Secrets<S> {
    fn of(kept: &Kept, read: impl Fn(&str) -> Option<S>) -> Option<Self> {
        let before = kept.secret_before.as_ref();
        Some(Self {
            now: read(kept.secret.as_ref()?.expose_secret())?,
            before: before.and_then(|(secret, until)| Some((read(secret.expose_secret())?, *until))),
        })
    }

    /// The secret before, if it is still good.
    pub(super) fn before(&self, now: Timestamp) -> Option<&S> {
        self.before.as_ref().filter(|(_, until)| now < *until).map(|(secret, _)| secret)
    }
}

impl Address {
    /// A Bolt app, with the secret that it knows.
    pub(crate) fn slack(url: Url, secret: SigningSecret) -> Self {
        Self { url, form: Form::Slack(Secrets { now: secret, before: None }) }
    }

    /// The same, with the secret in force alone.
    pub(crate) fn without_previous(mut self) -> Self {
        match &mut self.form {
            Form::Slack(secrets) => secrets.before = None,
            Form::Standard(secrets) => secrets.before = None,
        }
        self
    }

    /// The address of an endpoint that the API made; none without its secret.
    pub(crate) fn of(kept: &Kept) -> Option<Self> {
        let (url, form) = match &kept.endpoint.target {
            Target::InProcess => return None,
            Target::Slack { url } => {
                (url, Form::Slack(Secrets::of(kept, |secret| SigningSecret::new(secret))?))
            }
            Target::Standard { url } => (url, Form::Standard(Secrets::of(kept, StandardSecret::read)?)),
        };
        Some(Self { url: url.clone(), form })
    }
}
