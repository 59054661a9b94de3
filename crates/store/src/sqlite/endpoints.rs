//! Endpoints.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use secrecy::{ExposeSecret as _, SecretString};
use tautline_core::endpoint::{Declared, Endpoint, EndpointChange, Endpoints, Health, HealthChange, Kept};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{EndpointId, StoreResult, Timestamp, limits};

use super::idempotency::once;
use super::{SqliteStore, value};
use crate::sealed::Secrets;
use crate::{columns, sealed};

macro_rules! columns {
    () => {
        "id, name, target, url, filters, tenants, is_declared, in_flight, is_paused, failing_since, failing_because,
         exhausted_at, disabled_at, sealed_secret, sealed_secret_before, secret_before_until, created_at"
    };
}

macro_rules! in_force {
    () => {
        " FROM endpoints WHERE active = 1 OR (is_declared = 0 AND is_removed = 0) ORDER BY id"
    };
}

#[async_trait]
impl Endpoints for SqliteStore {
    async fn endpoint_make(
        &self,
        endpoint: Endpoint,
        secret: SecretString,
        idempotency: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>> {
        let sealed =
            self.vault.seal(sealed::endpoint_secret(&endpoint.id), secret.expose_secret().as_bytes());
        let make = move |connection: &Connection| {
            let (target, url) = columns::target(&endpoint.target);
            connection
                .prepare_cached(
                    "INSERT INTO endpoints (id, name, target, url, filters, tenants, active, is_declared,
                       in_flight, sealed_secret, created_at) VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?)",
                )?
                .execute(params![
                    endpoint.id.as_bytes(),
                    endpoint.name,
                    target,
                    url,
                    columns::filters(&endpoint.filters),
                    columns::tenants(&endpoint.tenants),
                    endpoint.in_flight,
                    sealed,
                    endpoint.created_at.as_micros(),
                ])?;
            Ok(())
        };
        self.writer.write(move |connection| once(connection, idempotency.as_ref(), || make(connection))).await
    }

    async fn endpoints(&self) -> StoreResult<Vec<Kept>> {
        let vault = self.vault.clone();
        let found = self.lookups.read(move |connection| {
            let mut in_force = connection.prepare_cached(concat!("SELECT ", columns!(), in_force!()))?;
            let rows =
                in_force.query_map([], |row| Ok(readable(read(row))?.map(|read| (read, secrets(row)))))?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            let kept = rows
                .into_iter()
                .flatten()
                .map(|(endpoint, sealed)| Ok(sealed::kept(vault.as_ref(), endpoint, sealed?)));
            Ok(kept.collect::<rusqlite::Result<Vec<_>>>()?)
        });
        found.await
    }

    async fn endpoint_change(&self, id: EndpointId, change: EndpointChange) -> StoreResult<bool> {
        let changed = self.writer.write(move |connection| {
            let (target, url) = change.target.as_ref().map(columns::target).unzip();
            let changed = connection
                .prepare_cached(
                    "UPDATE endpoints SET target = coalesce(?, target), url = coalesce(?, url),
                       filters = coalesce(?, filters), tenants = coalesce(?, tenants),
                       in_flight = coalesce(?, in_flight), is_paused = coalesce(?, is_paused),
                       disabled_at = CASE WHEN ? THEN NULL ELSE disabled_at END
                     WHERE id = ? AND is_declared = 0 AND is_removed = 0",
                )?
                .execute(params![
                    target,
                    url.flatten(),
                    change.filters.as_deref().map(columns::filters),
                    change.tenants.as_ref().map(columns::tenants),
                    change.in_flight,
                    change.is_paused,
                    change.is_paused == Some(false),
                    id.as_bytes(),
                ])?;
            Ok(changed > 0)
        });
        changed.await
    }

    async fn endpoint_rotate(
        &self,
        id: EndpointId,
        secret: SecretString,
        before_until: Timestamp,
    ) -> StoreResult<bool> {
        let vault = self.vault.clone();
        let sealed = vault.seal(sealed::endpoint_secret(&id), secret.expose_secret().as_bytes());
        let rotated = self.writer.write(move |connection| {
            let had = connection
                .prepare_cached(
                    "SELECT sealed_secret FROM endpoints WHERE id = ? AND is_declared = 0 AND is_removed = 0",
                )?
                .query_row([id.as_bytes()], |row| row.get::<_, Option<Vec<u8>>>(0))
                .optional()?
                .flatten();
            let Some(had) = had else { return Ok(false) };
            let before = sealed::as_before(vault.as_ref(), &id, &had);
            connection
                .prepare_cached(
                    "UPDATE endpoints SET sealed_secret = ?, sealed_secret_before = ?, secret_before_until = ?
                     WHERE id = ?",
                )?
                .execute(params![sealed, before, before_until.as_micros(), id.as_bytes()])?;
            Ok(true)
        });
        rotated.await
    }

    async fn endpoint_health(
        &self,
        id: EndpointId,
        change: HealthChange,
        because: &str,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let because = because.to_owned();
        let changed = self.writer.write(move |connection| {
            let again = now.before(limits::EXHAUSTED_AGAIN).as_micros();
            let (id, now) = (id.as_bytes(), now.as_micros());
            let changed = match change {
                HealthChange::Failing => connection
                    .prepare_cached(
                        "UPDATE endpoints SET failing_since = ?, failing_because = ?, exhausted_at = NULL
                         WHERE id = ? AND failing_since IS NULL",
                    )?
                    .execute(params![now, because, id]),
                HealthChange::Recovered => connection
                    .prepare_cached(
                        "UPDATE endpoints SET failing_since = NULL, failing_because = NULL, exhausted_at = NULL
                         WHERE id = ? AND failing_since IS NOT NULL AND disabled_at IS NULL",
                    )?
                    .execute(params![id]),
                HealthChange::Exhausted => connection
                    .prepare_cached(
                        "UPDATE endpoints SET exhausted_at = ?1 WHERE id = ?2 AND (exhausted_at IS NULL
                           OR (failing_since IS NULL AND exhausted_at <= ?3))",
                    )?
                    .execute(params![now, id, again]),
                HealthChange::Disabled => connection
                    .prepare_cached(
                        "UPDATE endpoints SET disabled_at = ?1, failing_since = coalesce(failing_since, ?1),
                           failing_because = ?2 WHERE id = ?3 AND disabled_at IS NULL",
                    )?
                    .execute(params![now, because, id]),
            };
            Ok(changed? > 0)
        });
        changed.await
    }

    async fn endpoint_remove(&self, id: EndpointId) -> StoreResult<bool> {
        let removed = self.writer.write(move |connection| {
            let removed = connection
                .prepare_cached(
                    "UPDATE endpoints SET is_removed = 1, sealed_secret = NULL, sealed_secret_before = NULL
                     WHERE id = ? AND is_declared = 0 AND is_removed = 0",
                )?
                .execute([id.as_bytes()])?;
            Ok(removed > 0)
        });
        removed.await
    }

    async fn endpoints_declare(
        &self,
        declared: Vec<Declared>,
        new_ids: Vec<EndpointId>,
        now: Timestamp,
    ) -> StoreResult<Vec<Endpoint>> {
        let active = self.writer.write(move |connection| {
            connection.execute("UPDATE endpoints SET active = 0 WHERE is_declared = 1", [])?;
            for (endpoint, id) in declared.iter().zip(&new_ids) {
                declare(connection, endpoint, *id, now)?;
            }
            Ok(active(connection)?)
        });
        active.await
    }
}

/// Under a name that is known the endpoint keeps its id: an app that moved gets what waits for it.
fn declare(
    connection: &Connection,
    endpoint: &Declared,
    id: EndpointId,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let (target, url) = columns::target(&endpoint.target);
    connection
        .prepare_cached(
            "INSERT INTO endpoints (id, name, target, url, filters, tenants, active, created_at)
             VALUES (?, ?, ?, ?, ?, '[\"*\"]', 1, ?)
             ON CONFLICT (name) DO UPDATE SET
               target = excluded.target, url = excluded.url, filters = excluded.filters, active = 1,
               disabled_at = NULL",
        )?
        .execute(params![
            id.as_bytes(),
            endpoint.name,
            target,
            url,
            columns::filters(&endpoint.filters),
            now.as_micros(),
        ])?;
    Ok(())
}

fn active(connection: &Connection) -> rusqlite::Result<Vec<Endpoint>> {
    let mut in_force = connection.prepare_cached(concat!("SELECT ", columns!(), in_force!()))?;
    let rows = in_force.query_map([], |row| readable(read(row)))?;
    Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// A newer version, of which the file may come, can know forms that this one does not. The others must not suffer for it.
fn readable(read: rusqlite::Result<Endpoint>) -> rusqlite::Result<Option<Endpoint>> {
    match read {
        Ok(endpoint) => Ok(Some(endpoint)),
        Err(error @ rusqlite::Error::FromSqlConversionFailure(..)) => {
            tracing::error!(%error, "an endpoint cannot be read by this version, and gets nothing from it");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Endpoint> {
    let url: Option<String> = row.get("url")?;
    Ok(Endpoint {
        id: EndpointId::from_bytes(value::id(row, "id")?),
        name: row.get("name")?,
        target: value::named(row, "target", |target| columns::read_target(target, url.as_deref()))?,
        filters: value::named(row, "filters", columns::read_filters)?,
        tenants: value::named(row, "tenants", columns::read_tenants)?,
        is_declared: row.get("is_declared")?,
        in_flight: row.get("in_flight")?,
        is_paused: row.get("is_paused")?,
        health: Health {
            failing_since: value::time_opt(row, "failing_since")?,
            because: row.get("failing_because")?,
            exhausted_at: value::time_opt(row, "exhausted_at")?,
            disabled_at: value::time_opt(row, "disabled_at")?,
        },
        created_at: value::time(row, "created_at")?,
    })
}

fn secrets(row: &Row<'_>) -> rusqlite::Result<Secrets> {
    let before = row.get::<_, Option<Vec<u8>>>("sealed_secret_before")?;
    Ok(Secrets {
        secret: row.get("sealed_secret")?,
        before: before.zip(value::time_opt(row, "secret_before_until")?),
    })
}
