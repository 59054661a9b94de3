//! Endpoints.

use async_trait::async_trait;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::endpoint::{Declared, Endpoint, EndpointChange, Endpoints, Health, HealthChange, Kept};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{EndpointId, StoreResult, Timestamp, limits};

use super::database::{Tx, sql};
use super::failure::{Failure, Work};
use super::{PostgresStore, idempotency, value};
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
        " FROM endpoints WHERE active OR NOT (is_declared OR is_removed) ORDER BY id"
    };
}

#[async_trait]
impl Endpoints for PostgresStore {
    async fn endpoint_make(
        &self,
        endpoint: Endpoint,
        secret: SecretString,
        idempotency: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>> {
        let sealed =
            self.vault.seal(sealed::endpoint_secret(&endpoint.id), secret.expose_secret().as_bytes());
        let mut tx = self.database.write().await?;
        if let Some(before) = idempotency::before(&mut tx, idempotency.as_ref()).await? {
            return tx.finish(before).await;
        }
        let (target, url) = columns::target(&endpoint.target);
        let make = sql("INSERT INTO endpoints (id, name, target, url, filters, tenants, active, is_declared,
                          in_flight, sealed_secret, created_at)
                        VALUES ($1, $2, $3, $4, $5, $6, false, false, $7, $8, $9)")
        .bind(value::uuid(endpoint.id.as_bytes()))
        .bind(value::text(&endpoint.name))
        .bind(target)
        .bind(url.map(str::to_owned))
        .bind(columns::filters(&endpoint.filters))
        .bind(columns::tenants(&endpoint.tenants))
        .bind(endpoint.in_flight.map(i64::from))
        .bind(sealed)
        .bind(endpoint.created_at.as_micros());
        tx.execute(make).await?;
        tx.finish(Once::Done(())).await
    }

    async fn endpoints(&self) -> StoreResult<Vec<Kept>> {
        let mut tx = self.database.read().await?;
        let with_secret = |row: &PgRow| Ok(readable(read(row))?.map(|read| (read, secrets(row))));
        let found = tx.all(sql(concat!("SELECT ", columns!(), in_force!())), with_secret).await?;
        tx.finish(()).await?;
        let vault = self.vault.as_ref();
        let kept = found
            .into_iter()
            .flatten()
            .map(|(endpoint, sealed)| Ok(sealed::kept(vault, endpoint, sealed.map_err(Failure::from)?)));
        kept.collect()
    }

    async fn endpoint_change(&self, id: EndpointId, change: EndpointChange) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let (target, url) = change.target.as_ref().map(columns::target).unzip();
        let change = sql("UPDATE endpoints SET target = coalesce($1, target), url = coalesce($2, url),
                            filters = coalesce($3, filters), tenants = coalesce($4, tenants),
                            in_flight = coalesce($5, in_flight), is_paused = coalesce($6, is_paused),
                            disabled_at = CASE WHEN $7 THEN NULL ELSE disabled_at END
                          WHERE id = $8 AND NOT is_declared AND NOT is_removed")
        .bind(target)
        .bind(url.flatten().map(str::to_owned))
        .bind(change.filters.as_deref().map(columns::filters))
        .bind(change.tenants.as_ref().map(columns::tenants))
        .bind(change.in_flight.map(i64::from))
        .bind(change.is_paused)
        .bind(change.is_paused == Some(false))
        .bind(value::uuid(id.as_bytes()));
        let is_changed = tx.execute(change).await? > 0;
        tx.finish(is_changed).await
    }

    async fn endpoint_rotate(
        &self,
        id: EndpointId,
        secret: SecretString,
        before_until: Timestamp,
    ) -> StoreResult<bool> {
        let vault = self.vault.as_ref();
        let sealed = vault.seal(sealed::endpoint_secret(&id), secret.expose_secret().as_bytes());
        let row = value::uuid(id.as_bytes());
        let mut tx = self.database.write().await?;
        let had = sql("SELECT sealed_secret FROM endpoints
                       WHERE id = $1 AND NOT is_declared AND NOT is_removed FOR UPDATE")
        .bind(row);
        let had = tx.maybe(had, |row| row.try_get::<Option<Vec<u8>>, _>("sealed_secret")).await?;
        let Some(had) = had.flatten() else { return tx.finish(false).await };
        let before = sealed::as_before(vault, &id, &had);
        let rotate = sql(
            "UPDATE endpoints SET sealed_secret = $1, sealed_secret_before = $2, secret_before_until = $3
                          WHERE id = $4",
        )
        .bind(sealed)
        .bind(before)
        .bind(before_until.as_micros())
        .bind(row);
        tx.execute(rotate).await?;
        tx.finish(true).await
    }

    async fn endpoint_health(
        &self,
        id: EndpointId,
        change: HealthChange,
        because: &str,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let again = now.before(limits::EXHAUSTED_AGAIN).as_micros();
        let (id, now, because) = (value::uuid(id.as_bytes()), now.as_micros(), value::text(because));
        let change = match change {
            HealthChange::Failing => {
                sql("UPDATE endpoints SET failing_since = $1, failing_because = $2, exhausted_at = NULL
                                          WHERE id = $3 AND failing_since IS NULL")
                .bind(now)
                .bind(because)
                .bind(id)
            }
            HealthChange::Recovered => {
                sql("UPDATE endpoints SET failing_since = NULL, failing_because = NULL, exhausted_at = NULL
                     WHERE id = $1 AND failing_since IS NOT NULL AND disabled_at IS NULL")
                .bind(id)
            }
            HealthChange::Exhausted => sql("UPDATE endpoints SET exhausted_at = $1 WHERE id = $2
                                            AND (exhausted_at IS NULL
                                              OR (failing_since IS NULL AND exhausted_at <= $3))")
            .bind(now)
            .bind(id)
            .bind(again),
            HealthChange::Disabled => {
                sql("UPDATE endpoints SET disabled_at = $1, failing_since = coalesce(failing_since, $1),
                       failing_because = $2 WHERE id = $3 AND disabled_at IS NULL")
                .bind(now)
                .bind(because)
                .bind(id)
            }
        };
        let mut tx = self.database.write().await?;
        let is_changed = tx.execute(change).await? > 0;
        tx.finish(is_changed).await
    }

    async fn endpoint_remove(&self, id: EndpointId) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let remove = sql("UPDATE endpoints SET is_removed = true, sealed_secret = NULL,
                            sealed_secret_before = NULL
                          WHERE id = $1 AND NOT is_declared AND NOT is_removed");
        let is_removed = tx.execute(remove.bind(value::uuid(id.as_bytes()))).await? > 0;
        tx.finish(is_removed).await
    }

    async fn endpoints_declare(
        &self,
        declared: Vec<Declared>,
        new_ids: Vec<EndpointId>,
        now: Timestamp,
    ) -> StoreResult<Vec<Endpoint>> {
        let mut tx = self.database.write().await?;
        // Replicas that start together declare one after the other.
        tx.script("LOCK TABLE endpoints IN SHARE ROW EXCLUSIVE MODE").await?;
        tx.execute(sql("UPDATE endpoints SET active = false WHERE is_declared")).await?;
        for (endpoint, id) in declared.iter().zip(&new_ids) {
            declare(&mut tx, endpoint, *id, now).await?;
        }
        let in_force = sql(concat!("SELECT ", columns!(), in_force!()));
        let active = tx.all(in_force, |row| readable(read(row))).await?;
        tx.finish(active.into_iter().flatten().collect()).await
    }
}

/// Under a name that is known the endpoint keeps its id: an app that moved gets what waits for it.
async fn declare(tx: &mut Tx, endpoint: &Declared, id: EndpointId, now: Timestamp) -> Work<()> {
    let (target, url) = columns::target(&endpoint.target);
    tx.execute(
        sql("INSERT INTO endpoints (id, name, target, url, filters, tenants, active, created_at)
             VALUES ($1, $2, $3, $4, $5, '[\"*\"]', true, $6)
             ON CONFLICT (name) DO UPDATE SET
               target = excluded.target, url = excluded.url, filters = excluded.filters, active = true,
               disabled_at = NULL")
        .bind(value::uuid(id.as_bytes()))
        .bind(value::text(&endpoint.name))
        .bind(target)
        .bind(url.map(str::to_owned))
        .bind(columns::filters(&endpoint.filters))
        .bind(now.as_micros()),
    )
    .await?;
    Ok(())
}

/// A newer version beside this one can know forms that this one does not. The others must not suffer for it.
fn readable(read: sqlx::Result<Endpoint>) -> sqlx::Result<Option<Endpoint>> {
    match read {
        Ok(endpoint) => Ok(Some(endpoint)),
        Err(error @ sqlx::Error::Decode(_)) => {
            tracing::error!(%error, "an endpoint cannot be read by this version, and gets nothing from it");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn read(row: &PgRow) -> sqlx::Result<Endpoint> {
    let url = value::read_text_opt(row, "url")?;
    Ok(Endpoint {
        id: EndpointId::from_bytes(value::id(row, "id")?),
        name: value::read_text(row, "name")?,
        target: value::named(row, "target", |target| columns::read_target(target, url.as_deref()))?,
        filters: value::named(row, "filters", columns::read_filters)?,
        tenants: value::named(row, "tenants", columns::read_tenants)?,
        is_declared: row.try_get("is_declared")?,
        in_flight: row.try_get::<Option<i64>, _>("in_flight")?.and_then(|most| u32::try_from(most).ok()),
        is_paused: row.try_get("is_paused")?,
        health: Health {
            failing_since: value::time_opt(row, "failing_since")?,
            because: value::read_text_opt(row, "failing_because")?,
            exhausted_at: value::time_opt(row, "exhausted_at")?,
            disabled_at: value::time_opt(row, "disabled_at")?,
        },
        created_at: value::time(row, "created_at")?,
    })
}

fn secrets(row: &PgRow) -> sqlx::Result<Secrets> {
    let before = row.try_get::<Option<Vec<u8>>, _>("sealed_secret_before")?;
    Ok(Secrets {
        secret: row.try_get("sealed_secret")?,
        before: before.zip(value::time_opt(row, "secret_before_until")?),
    })
}
