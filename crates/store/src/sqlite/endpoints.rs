//! Endpoints.

use async_trait::async_trait;
use rusqlite::{Connection, Row, params};
use secrecy::{ExposeSecret as _, SecretString};
use tautline_core::endpoint::{Declared, Endpoint, Endpoints, Kept};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{EndpointId, StoreResult, Timestamp};

use super::idempotency::once;
use super::{SqliteStore, value};
use crate::{columns, sealed};

macro_rules! columns {
    () => {
        "id, name, target, url, filters, tenants, is_declared, sealed_secret, created_at"
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
                       sealed_secret, created_at) VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?, ?)",
                )?
                .execute(params![
                    endpoint.id.as_bytes(),
                    endpoint.name,
                    target,
                    url,
                    columns::filters(&endpoint.filters),
                    columns::tenants(&endpoint.tenants),
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
            let rows = in_force
                .query_map([], |row| Ok((read(row)?, row.get::<_, Option<Vec<u8>>>("sealed_secret")?)))?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(rows
                .into_iter()
                .map(|(endpoint, sealed)| sealed::kept(vault.as_ref(), endpoint, sealed))
                .collect())
        });
        found.await
    }

    async fn endpoint_remove(&self, id: EndpointId) -> StoreResult<bool> {
        let removed = self.writer.write(move |connection| {
            let removed = connection
                .prepare_cached(
                    "UPDATE endpoints SET is_removed = 1, sealed_secret = NULL
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
               target = excluded.target, url = excluded.url, filters = excluded.filters, active = 1",
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
    connection.prepare_cached(concat!("SELECT ", columns!(), in_force!()))?.query_map([], read)?.collect()
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
        created_at: value::time(row, "created_at")?,
    })
}
