//! People: who is signed in at the dashboard, and whether a form is really theirs.

use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tautline_core::access::{Caller, Scope};
use tautline_core::session::Session;
use tautline_core::{Purpose, SecretHash, StoreResult, TenantId};

use crate::app::App;
use crate::cookie;
use crate::dashboard::sign_in;
use crate::error::{ApiError, ApiResult};
use crate::page::PageError;

/// A person with a session.
pub(crate) struct SignedIn {
    session: Session,
    /// What the browser showed; ties forms to this very session.
    secret: String,
}

/// A form that a signed-in person sent from one of our own pages.
pub(crate) struct Submitted<T> {
    pub(crate) who: SignedIn,
    pub(crate) form: T,
}

impl SignedIn {
    /// The session that a browser shows, if it has one.
    pub(crate) async fn find(app: &App, headers: &HeaderMap) -> StoreResult<Option<Self>> {
        let Some(secret) = cookie::SESSION.get(&app.settings, headers) else { return Ok(None) };
        let session = app.store.session(SecretHash::of(secret), app.clock.now()).await?;
        Ok(session.map(|session| Self { session, secret: secret.to_owned() }))
    }

    pub(crate) fn tenant(&self) -> &TenantId {
        &self.session.tenant
    }

    pub(crate) fn name(&self) -> &str {
        &self.session.name
    }

    /// Whether this person may.
    pub(crate) fn can(&self, scope: Scope) -> bool {
        self.session.scopes.contains(&scope)
    }

    /// Insists on a scope.
    pub(crate) fn may(&self, scope: Scope) -> ApiResult<&TenantId> {
        if self.can(scope) {
            return Ok(&self.session.tenant);
        }
        let scope = scope.as_str();
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "scope_missing",
            format!("this session lacks the scope {scope:?}"),
        )
        .fix("sign in with a key or a link that has it"))
    }

    /// The person as a caller of the API.
    pub(crate) fn into_caller(self) -> (Caller, TenantId) {
        let tenant = self.session.tenant.clone();
        (self.session.into_caller(), tenant)
    }

    /// By which the store knows this session.
    pub(crate) fn secret_hash(&self) -> SecretHash {
        SecretHash::of(&self.secret)
    }

    /// The hidden field of every form: other sites can make a browser send a form, but cannot know this.
    pub(crate) fn form_token(&self, app: &App) -> String {
        BASE64.encode(app.vault.tag(Purpose::FormToken, self.secret.as_bytes()))
    }

    fn sent(&self, app: &App, token: &str) -> bool {
        let tag = BASE64.decode(token).unwrap_or_default();
        app.vault.is_tag(Purpose::FormToken, self.secret.as_bytes(), &tag)
    }
}

impl FromRequestParts<Arc<App>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Response> {
        match Self::find(app, &parts.headers).await {
            Ok(Some(signed_in)) => Ok(signed_in),
            Ok(None) => {
                // Back to where the person wanted to go; a form cannot be sent again by going somewhere.
                let wanted = parts.uri.path_and_query().filter(|_| parts.method == Method::GET);
                Err(sign_in::asked(app, wanted.map(ToString::to_string)))
            }
            Err(error) => Err(PageError::from(error).into_response()),
        }
    }
}

#[derive(Deserialize)]
struct Fields<T> {
    #[serde(default)]
    form_token: String,
    #[serde(flatten)]
    form: T,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Submitted<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let who = SignedIn::from_request_parts(&mut parts, app).await?;
        let fields = Form::<Fields<T>>::from_request(Request::from_parts(parts, body), app).await;
        match fields {
            Ok(Form(fields)) if who.sent(app, &fields.form_token) => Ok(Self { who, form: fields.form }),
            Ok(_) => {
                let error = "this form was not sent from a page of yours";
                let forged = ApiError::new(StatusCode::FORBIDDEN, "form_refused", error);
                Err(PageError::from(forged.fix("go back, reload the page, and send it again"))
                    .into_response())
            }
            Err(rejection) => {
                let error = ApiError::new(rejection.status(), "invalid_form", "this form cannot be read");
                Err(PageError::from(error.fix("go back, reload the page, and send it again")).into_response())
            }
        }
    }
}
