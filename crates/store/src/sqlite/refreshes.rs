//! Tokens that can be renewed, and who is at it. See `tautline_core::refresh` for the theory of operation.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::installation::{Credential, CredentialKind, Health, NewInstallation};
use tautline_core::refresh::{Leasing, Refresh, RefreshNext, Refreshes, Rotation, Settled, due_at};
use tautline_core::{InstallationId, StoreResult, TenantId, Timestamp, Vault, limits};
use tautline_slack::AppId;

use super::failure::Work;
use super::{SqliteStore, value};
use crate::limits::REFRESH_AHEAD_US;
use crate::sealed::{self, SealedRefresh};

const ROW: &str = "SELECT r.tenant_id, r.installation_id, r.kind, r.app_id, r.attempt, c.generation, c.sealed_token,
                     c.sealed_refresh_token, c.expires_at
                   FROM refreshes r JOIN credentials c
                     ON c.tenant_id = r.tenant_id AND c.installation_id = r.installation_id AND c.kind = r.kind
                   WHERE r.installation_id = ? AND r.kind = ?";

/// Rows for tokens that have none, as [`Rotation::of`] has it.
const MISSING: &str = "INSERT OR IGNORE INTO refreshes (installation_id, kind, tenant_id, app_id, rotation, due_at)
    SELECT c.installation_id, c.kind, c.tenant_id, i.app_id,
           CASE WHEN c.tenant_id = 'home' OR (c.sealed_refresh_token IS NULL) <> (c.expires_at IS NULL) THEN 'kept'
                WHEN c.expires_at IS NULL THEN 'endless' ELSE 'rotating' END,
           CASE WHEN c.tenant_id <> 'home' AND c.sealed_refresh_token IS NOT NULL
                THEN max(c.expires_at - ?2, ?1) END
    FROM credentials c JOIN installations i ON i.id = c.installation_id WHERE c.kind <> 'incoming_webhook'";

#[async_trait]
impl Refreshes for SqliteStore {
    async fn refresh_claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: usize,
    ) -> StoreResult<Vec<Refresh>> {
        let due = self.lookups.read(move |connection| {
            let due = "SELECT EXISTS (SELECT 1 FROM refreshes
                       WHERE due_at <= ?1 AND (leased_until IS NULL OR leased_until <= ?1))";
            Ok(connection.prepare_cached(due)?.query_row([now.as_micros()], |row| row.get::<_, bool>(0))?)
        });
        // Mostly there is nothing; and to look is no reason to write.
        if !due.await? {
            return Ok(Vec::new());
        }
        let claimed = self.writer.write(move |connection| claim(connection, now, leased_until, most));
        let (mut opened, mut shut) = (Vec::new(), Vec::new());
        for sealed in claimed.await? {
            match sealed.open(self.vault.as_ref(), leased_until) {
                Ok(refresh) => opened.push(refresh),
                Err(postponed) => shut.push(postponed),
            }
        }
        if !shut.is_empty() {
            let at = now.after(limits::REFRESH_PAUSES.1);
            let postponed = self.writer.write(move |connection| {
                for (installation, kind) in &shut {
                    postpone(connection, *installation, *kind, at)?;
                }
                Ok(())
            });
            postponed.await?;
        }
        Ok(opened)
    }

    async fn refresh_lease(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        kind: CredentialKind,
        generation: i64,
        now: Timestamp,
        leased_until: Timestamp,
    ) -> StoreResult<Leasing> {
        let (tenant, vault) = (tenant.clone(), self.vault.clone());
        let leased = self.writer.write(move |connection| {
            let found: Option<(Option<i64>, u32, Option<i64>, i64)> = connection
                .prepare_cached(
                    "SELECT r.leased_until, r.attempt, r.due_at, c.generation FROM refreshes r JOIN credentials c
                       ON c.tenant_id = r.tenant_id AND c.installation_id = r.installation_id AND c.kind = r.kind
                     WHERE r.tenant_id = ? AND r.installation_id = ? AND r.kind = ? AND r.rotation = 'rotating'",
                )?
                .query_row(params![tenant.as_str(), installation.as_bytes(), kind.as_str()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })
                .optional()?;
            let Some((leased, attempt, due, found)) = found else { return Ok(Leasing::Not) };
            if found != generation {
                return Ok(Leasing::Not);
            }
            if leased.is_some_and(|until| until > now.as_micros()) {
                return Ok(Leasing::Busy);
            }
            if attempt > 0 && leased.is_none() && due.is_some_and(|due| due > now.as_micros()) {
                return Ok(Leasing::Not);
            }
            let sealed = take(connection, installation, kind, now, leased_until)?;
            match sealed.map(|sealed| sealed.open(vault.as_ref(), leased_until)) {
                Some(Ok(refresh)) => Ok(Leasing::Taken(Box::new(refresh))),
                Some(Err((installation, kind))) => {
                    postpone(connection, installation, kind, now.after(limits::REFRESH_PAUSES.1))?;
                    Ok(Leasing::Not)
                }
                None => Ok(Leasing::Not),
            }
        });
        leased.await
    }

    async fn refresh_settle(
        &self,
        refresh: &Refresh,
        next: RefreshNext,
        now: Timestamp,
    ) -> StoreResult<Settled> {
        let (refresh, vault) = (refresh.clone(), self.vault.clone());
        self.writer.write(move |connection| settle(connection, vault.as_ref(), &refresh, &next, now)).await
    }

    async fn refresh_reconcile(&self, _: Option<TenantId>, now: Timestamp) -> StoreResult<Option<TenantId>> {
        let reconciled = self.writer.write(move |connection| {
            // An earlier version connects anew without knowing of these rows.
            connection.execute(
                "DELETE FROM refreshes WHERE rotation = 'ended' AND kind = 'bot' AND installation_id IN
                   (SELECT id FROM installations WHERE health = 'connected')",
                [],
            )?;
            connection.execute(MISSING, [now.as_micros(), REFRESH_AHEAD_US])?;
            Ok(None)
        });
        reconciled.await
    }

    async fn refresh_reap(&self) -> StoreResult<()> {
        let reaped = self.writer.write(|connection| {
            let free = "UPDATE refreshes SET leased_until = NULL WHERE leased_until IS NOT NULL";
            connection.prepare_cached(free)?.execute([])?;
            Ok(())
        });
        reaped.await
    }
}

/// What is to be renewed of a new installation, in place of what was. With the first token of an app that ends, the others'
/// are known to be exchangeable.
pub(super) fn keep(
    connection: &Connection,
    installation: InstallationId,
    new: &NewInstallation,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM refreshes WHERE installation_id = ?")?
        .execute([installation.as_bytes()])?;
    let app = new.facts.app.as_str();
    for credential in new.credentials.iter().filter(|credential| credential.kind.is_token()) {
        let rotation = match Rotation::of(&new.tenant, credential) {
            Rotation::Endless if new.is_shared => Rotation::Kept,
            rotation => rotation,
        };
        connection
            .prepare_cached(
                "INSERT INTO refreshes (installation_id, kind, tenant_id, app_id, rotation, due_at)
                 VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                installation.as_bytes(),
                credential.kind.as_str(),
                new.tenant.as_str(),
                app,
                rotation.as_str(),
                due(rotation, credential, now),
            ])?;
    }
    connection
        .prepare_cached(
            "UPDATE refreshes SET due_at = ?1 WHERE app_id = ?2 AND rotation = 'endless' AND due_at IS NULL
               AND EXISTS (SELECT 1 FROM refreshes WHERE app_id = ?2 AND rotation = 'rotating')",
        )?
        .execute(params![now.as_micros(), app])?;
    Ok(())
}

fn due(rotation: Rotation, credential: &Credential, now: Timestamp) -> Option<i64> {
    let expires_at = credential.expires_at.filter(|_| rotation == Rotation::Rotating)?;
    Some(due_at(expires_at, now).as_micros())
}

fn claim(
    connection: &Connection,
    now: Timestamp,
    leased_until: Timestamp,
    most: usize,
) -> Work<Vec<SealedRefresh>> {
    let due = connection
        .prepare_cached(
            "SELECT installation_id, kind FROM refreshes
             WHERE due_at <= ?1 AND (leased_until IS NULL OR leased_until <= ?1) ORDER BY due_at LIMIT ?2",
        )?
        .query_map(params![now.as_micros(), value::limit(most)], |row| {
            let kind = value::named(row, "kind", CredentialKind::from_name)?;
            Ok((InstallationId::from_bytes(value::id(row, 0)?), kind))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut claimed = Vec::new();
    for (installation, kind) in due {
        claimed.extend(take(connection, installation, kind, now, leased_until)?);
    }
    Ok(claimed)
}

/// It is due from now on, also when it was asked for before its time: whoever dies with it may have used it up.
fn take(
    connection: &Connection,
    installation: InstallationId,
    kind: CredentialKind,
    now: Timestamp,
    leased_until: Timestamp,
) -> rusqlite::Result<Option<SealedRefresh>> {
    connection
        .prepare_cached(
            "UPDATE refreshes SET attempt = attempt + 1, leased_until = ?1, due_at = min(coalesce(due_at, ?2), ?2)
             WHERE installation_id = ?3 AND kind = ?4",
        )?
        .execute(params![
            leased_until.as_micros(),
            now.as_micros(),
            installation.as_bytes(),
            kind.as_str()
        ])?;
    let taken =
        connection.prepare_cached(ROW)?.query_row(params![installation.as_bytes(), kind.as_str()], read);
    let taken = taken.optional()?;
    if taken.is_none() {
        // There is no such token: nothing is to be done any more.
        connection
            .prepare_cached("DELETE FROM refreshes WHERE installation_id = ? AND kind = ?")?
            .execute(params![installation.as_bytes(), kind.as_str()])?;
    }
    Ok(taken)
}

fn read(row: &Row<'_>) -> rusqlite::Result<SealedRefresh> {
    Ok(SealedRefresh {
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        kind: value::named(row, "kind", CredentialKind::from_name)?,
        app: AppId::new(row.get::<_, String>("app_id")?),
        attempt: row.get("attempt")?,
        generation: row.get("generation")?,
        token: row.get("sealed_token")?,
        refresh_token: row.get("sealed_refresh_token")?,
        expires_at: value::time_opt(row, "expires_at")?,
    })
}

fn postpone(
    connection: &Connection,
    installation: InstallationId,
    kind: CredentialKind,
    at: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE refreshes SET leased_until = NULL, due_at = ?, error = 'the token does not open'
             WHERE installation_id = ? AND kind = ?",
        )?
        .execute(params![at.as_micros(), installation.as_bytes(), kind.as_str()])?;
    Ok(())
}

fn settle(
    connection: &Connection,
    vault: &dyn Vault,
    refresh: &Refresh,
    next: &RefreshNext,
    now: Timestamp,
) -> Work<Settled> {
    let (installation, kind) = (refresh.installation.as_bytes(), refresh.kind.as_str());
    let found: Option<(u32, bool)> = connection
        .prepare_cached(
            "SELECT r.attempt, r.rotation = 'ended' FROM refreshes r JOIN credentials c
               ON c.tenant_id = r.tenant_id AND c.installation_id = r.installation_id AND c.kind = r.kind
             WHERE r.tenant_id = ? AND r.installation_id = ? AND r.kind = ? AND c.generation = ?",
        )?
        .query_row(params![refresh.tenant.as_str(), installation, kind, refresh.generation], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((attempt, has_ended)) = found else { return Ok(Settled::Replaced) };
    let mends = has_ended && matches!(next, RefreshNext::Renewed(_));
    if attempt != refresh.attempt && !mends {
        return Ok(Settled::Outrun);
    }
    let mut row = connection.prepare_cached(
        "UPDATE refreshes SET leased_until = NULL, rotation = coalesce(?, rotation), due_at = ?, attempt = ?, error = ?
         WHERE installation_id = ? AND kind = ?",
    )?;
    let mut put = |rotation: Option<Rotation>, due: Option<i64>, attempt: u32, error: Option<&str>| {
        row.execute(params![rotation.map(Rotation::as_str), due, attempt, error, installation, kind])
    };
    match next {
        RefreshNext::Renewed(credential) => {
            let rotation = Rotation::of(&refresh.tenant, credential);
            put(Some(rotation), due(rotation, credential, now), 0, None)?;
            let sealed = sealed::credential(vault, &refresh.tenant, refresh.installation, credential);
            connection
                .prepare_cached(
                    "UPDATE credentials SET sealed_token = ?, sealed_refresh_token = ?, expires_at = ?,
                       generation = generation + 1
                     WHERE tenant_id = ? AND installation_id = ? AND kind = ?",
                )?
                .execute(params![
                    sealed.0,
                    sealed.1,
                    credential.expires_at.map(Timestamp::as_micros),
                    refresh.tenant.as_str(),
                    installation,
                    kind
                ])?;
            if mends && refresh.kind == CredentialKind::Bot {
                connection
                    .prepare_cached(
                        "UPDATE installations SET health = ?, last_error = NULL, last_error_at = NULL WHERE id = ?",
                    )?
                    .execute(params![Health::Connected.as_str(), installation])?;
            }
        }
        RefreshNext::Again { at, error } => {
            put(None, Some(at.as_micros()), refresh.attempt, Some(error))?;
        }
        RefreshNext::Kept => {
            put(Some(Rotation::Kept), None, refresh.attempt, None)?;
        }
        RefreshNext::Ended { error } => {
            put(Some(Rotation::Ended), None, refresh.attempt, Some(error))?;
            if refresh.kind == CredentialKind::Bot {
                connection
                    .prepare_cached(
                        "UPDATE installations SET health = ?, last_error = ?, last_error_at = ? WHERE id = ?",
                    )?
                    .execute(params![Health::Broken.as_str(), error, now.as_micros(), installation])?;
            }
        }
    }
    Ok(Settled::Done)
}
