//! Where sealed values rest. The places are the same on both engines: they are part of the seal.

use std::sync::Arc;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use tautline_core::delivery::Leased;
use tautline_core::endpoint::{Endpoint, Kept};
use tautline_core::inbox::Request;
use tautline_core::installation::{Credential, CredentialKind};
use tautline_core::outbox::Claimed;
use tautline_core::parked::Parked;
use tautline_core::refresh::Refresh;
use tautline_core::{
    DeliveryId, EndpointId, InstallationId, MessageId, Place, RequestId, StoreError, StoreResult, TenantId,
    Timestamp, Vault, VaultError,
};
use tautline_slack::{AppId, Token};

/// A request's body.
pub(crate) fn body<'a>(tenant: Option<&'a TenantId>, id: &'a RequestId) -> Place<'a> {
    Place { tenant, table: "inbox", row: id.as_bytes(), field: "body" }
}

/// A message's arguments.
pub(crate) fn arguments<'a>(tenant: &'a TenantId, id: &'a MessageId) -> Place<'a> {
    Place { tenant: Some(tenant), table: "messages", row: id.as_bytes(), field: "arguments" }
}

/// The name of an attempt's row.
pub(crate) fn attempt_row(delivery: DeliveryId, number: u32) -> Vec<u8> {
    [delivery.as_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// An endpoint's answer.
pub(crate) fn answer<'a>(tenant: &'a TenantId, row: &'a [u8]) -> Place<'a> {
    Place { tenant: Some(tenant), table: "attempts", row, field: "answer" }
}

/// An endpoint's secret; endpoints are the company's.
pub(crate) fn endpoint_secret(id: &EndpointId) -> Place<'_> {
    Place { tenant: None, table: "endpoints", row: id.as_bytes(), field: "secret" }
}

/// The secret that an endpoint had before.
pub(crate) fn endpoint_secret_before(id: &EndpointId) -> Place<'_> {
    Place { tenant: None, table: "endpoints", row: id.as_bytes(), field: "secret_before" }
}

/// What is sealed in an endpoint's row.
pub(crate) struct Secrets {
    pub(crate) secret: Option<Vec<u8>>,
    pub(crate) before: Option<(Vec<u8>, Timestamp)>,
}

/// An endpoint with its secrets. One that does not open is left out: the others must not suffer for it.
pub(crate) fn kept(vault: &dyn Vault, endpoint: Endpoint, sealed: Secrets) -> Kept {
    let open = |place: Place<'_>, sealed: Vec<u8>| match vault.open(place, &sealed) {
        Ok(secret) => Some(SecretString::from(String::from_utf8_lossy(secret.expose_secret()).into_owned())),
        Err(error) => {
            tracing::debug!(endpoint = %endpoint.id, %error, "an endpoint's secret does not open");
            None
        }
    };
    let secret = sealed.secret.and_then(|sealed| open(endpoint_secret(&endpoint.id), sealed));
    let before = sealed
        .before
        .and_then(|(sealed, until)| Some((open(endpoint_secret_before(&endpoint.id), sealed)?, until)));
    Kept { secret, secret_before: before, endpoint }
}

/// The secret that an endpoint has, sealed as the one that it had. One that does not open is of no use to anybody.
pub(crate) fn as_before(vault: &dyn Vault, id: &EndpointId, sealed: &[u8]) -> Option<Vec<u8>> {
    let plain = vault.open(endpoint_secret(id), sealed).ok()?;
    Some(vault.seal(endpoint_secret_before(id), plain.expose_secret()))
}

/// The name of a credential's row.
pub(crate) fn credential_row(installation: InstallationId, kind: CredentialKind) -> Vec<u8> {
    [installation.as_bytes().as_slice(), kind.as_str().as_bytes()].concat()
}

/// A token, in one of the fields `token` and `refresh_token`.
pub(crate) fn token<'a>(tenant: &'a TenantId, row: &'a [u8], field: &'static str) -> Place<'a> {
    Place { tenant: Some(tenant), table: "credentials", row, field }
}

/// A credential's token, and what renews it, sealed.
pub(crate) fn credential(
    vault: &dyn Vault,
    tenant: &TenantId,
    installation: InstallationId,
    credential: &Credential,
) -> (Vec<u8>, Option<Vec<u8>>) {
    let row = credential_row(installation, credential.kind);
    let seal = |field, plain: &Token| vault.seal(token(tenant, &row, field), plain.expose().as_bytes());
    (
        seal("token", &credential.token),
        credential.refresh_token.as_ref().map(|plain| seal("refresh_token", plain)),
    )
}

/// Opens a credential that rests as [`credential`] sealed it.
pub(crate) fn open_credential(
    vault: &dyn Vault,
    tenant: &TenantId,
    installation: InstallationId,
    kind: CredentialKind,
    (token, refresh_token): (&[u8], Option<&[u8]>),
    expires_at: Option<Timestamp>,
) -> StoreResult<Credential> {
    let open = |field, sealed: &[u8]| open_field(vault, tenant, installation, kind, field, sealed);
    let token = open("token", token)?;
    let refresh_token = refresh_token.map(|sealed| open("refresh_token", sealed)).transpose()?;
    Ok(Credential { kind, token, refresh_token, expires_at })
}

/// A token that was taken to be renewed, as it rests.
pub(crate) struct SealedRefresh {
    pub(crate) tenant: TenantId,
    pub(crate) installation: InstallationId,
    pub(crate) kind: CredentialKind,
    pub(crate) app: AppId,
    pub(crate) attempt: u32,
    pub(crate) generation: i64,
    pub(crate) token: Vec<u8>,
    pub(crate) refresh_token: Option<Vec<u8>>,
    pub(crate) expires_at: Option<Timestamp>,
}

impl SealedRefresh {
    /// Opens it. What does not open is named in the log, and by what postpones it: the others must not suffer for it.
    pub(crate) fn open(
        self,
        vault: &dyn Vault,
        leased_until: Timestamp,
    ) -> Result<Refresh, (InstallationId, CredentialKind)> {
        let open = |field, sealed: &[u8]| {
            open_field(vault, &self.tenant, self.installation, self.kind, field, sealed)
        };
        let opened = open("token", &self.token).and_then(|token| {
            let refresh_token = self.refresh_token.as_deref().map(|sealed| open("refresh_token", sealed));
            Ok((token, refresh_token.transpose()?))
        });
        match opened {
            Ok((token, refresh_token)) => Ok(Refresh {
                tenant: self.tenant,
                installation: self.installation,
                kind: self.kind,
                app: self.app,
                attempt: self.attempt,
                generation: self.generation,
                token,
                refresh_token,
                expires_at: self.expires_at,
                leased_until,
            }),
            Err(error) => {
                tracing::error!(installation = %self.installation, error = cause(&error), "a token cannot be renewed: it does not open");
                Err((self.installation, self.kind))
            }
        }
    }
}

/// What Slack answered to an install that nobody has claimed yet.
pub(crate) fn parked(id: &InstallationId) -> Place<'_> {
    Place { tenant: None, table: "parked_installs", row: id.as_bytes(), field: "answers" }
}

/// Opens [`parked`].
pub(crate) fn open_parked(vault: &dyn Vault, id: InstallationId, sealed: &[u8]) -> StoreResult<Parked> {
    let opened = vault.open(parked(&id), sealed);
    let answers = opened.map_err(|source| StoreError::Sealed {
        table: "parked_installs",
        row: id.to_string(),
        source,
    })?;
    Ok(Parked { id, answers })
}

/// Opens a request's body; one that was deleted by age is empty.
pub(crate) fn open_body(vault: &dyn Vault, request: &Request, sealed: &[u8]) -> StoreResult<Bytes> {
    if sealed.is_empty() {
        return Ok(Bytes::new());
    }
    open(vault, body(request.tenant.as_ref(), &request.id), sealed, || request.id.to_string())
}

/// Opens a message's arguments; those that were deleted by age are empty.
pub(crate) fn open_arguments(
    vault: &dyn Vault,
    tenant: &TenantId,
    id: MessageId,
    sealed: &[u8],
) -> StoreResult<Bytes> {
    if sealed.is_empty() {
        return Ok(Bytes::new());
    }
    open(vault, arguments(tenant, &id), sealed, || id.to_string())
}

/// Opens the answer to an attempt.
pub(crate) fn open_answer(
    vault: &dyn Vault,
    tenant: &TenantId,
    delivery: DeliveryId,
    number: u32,
    sealed: &[u8],
) -> StoreResult<Bytes> {
    let row = attempt_row(delivery, number);
    open(vault, answer(tenant, &row), sealed, || delivery.to_string())
}

/// Opens an installation's token.
pub(crate) fn open_token(
    vault: &dyn Vault,
    tenant: &TenantId,
    installation: InstallationId,
    kind: CredentialKind,
    sealed: &[u8],
) -> StoreResult<Token> {
    open_field(vault, tenant, installation, kind, "token", sealed)
}

fn open_field(
    vault: &dyn Vault,
    tenant: &TenantId,
    installation: InstallationId,
    kind: CredentialKind,
    field: &'static str,
    sealed: &[u8],
) -> StoreResult<Token> {
    let row = credential_row(installation, kind);
    let plain = vault.open(token(tenant, &row, field), sealed).map_err(|source| StoreError::Sealed {
        table: "credentials",
        row: installation.to_string(),
        source,
    })?;
    let text = std::str::from_utf8(plain.expose_secret());
    text.map(Token::new).map_err(|error| StoreError::Corrupt(error.into()))
}

/// Deliveries just leased, opened; and those whose request does not open, by what puts them back.
pub(crate) fn open_leased(
    vault: &dyn Vault,
    taken: Vec<(Leased, Vec<u8>)>,
) -> (Vec<Leased>, Vec<(DeliveryId, u32)>) {
    let (mut opened, mut shut) = (Vec::new(), Vec::new());
    for (leased, sealed) in taken {
        match open_body(vault, &leased.request, &sealed) {
            Ok(body) => {
                let request = Arc::new(Request { body, ..Arc::unwrap_or_clone(leased.request) });
                opened.push(Leased { request, ..leased });
            }
            Err(error) => {
                let (request, cause) = (leased.request.id, cause(&error));
                tracing::error!(%request, %error, cause, "a request cannot be delivered yet");
                shut.push((leased.id, leased.attempt));
            }
        }
    }
    (opened, shut)
}

/// Messages just claimed, opened; and those that do not open.
pub(crate) fn open_claimed(
    vault: &dyn Vault,
    taken: Vec<(Claimed, Vec<u8>)>,
) -> (Vec<Claimed>, Vec<Claimed>) {
    let (mut opened, mut shut) = (Vec::new(), Vec::new());
    for (claimed, sealed) in taken {
        match open_arguments(vault, &claimed.tenant, claimed.id, &sealed) {
            Ok(arguments) => opened.push(Claimed { arguments, ..claimed }),
            Err(error) => {
                tracing::error!(message = %claimed.id, %error, cause = cause(&error), "a message cannot be sent yet");
                shut.push(claimed);
            }
        }
    }
    (opened, shut)
}

fn cause(error: &StoreError) -> Option<String> {
    std::error::Error::source(error).map(ToString::to_string)
}

/// A value sealed anew, if another than the first key sealed it. It is opened in any case: only so is it known that
/// the keys are the right ones. What was deleted by age is empty, and stays so.
pub(crate) fn anew(
    vault: &dyn Vault,
    place: Place<'_>,
    sealed: &[u8],
) -> Result<Option<Vec<u8>>, VaultError> {
    if sealed.is_empty() {
        return Ok(None);
    }
    let plain = vault.open(place, sealed)?;
    Ok((!vault.is_current(sealed)).then(|| vault.seal(place, plain.expose_secret())))
}

fn open(
    vault: &dyn Vault,
    place: Place<'_>,
    sealed: &[u8],
    row: impl FnOnce() -> String,
) -> StoreResult<Bytes> {
    let plain = vault.open(place, sealed);
    let failed = |source| StoreError::Sealed { table: place.table, row: row(), source };
    plain.map(|plain| Bytes::copy_from_slice(plain.expose_secret())).map_err(failed)
}
