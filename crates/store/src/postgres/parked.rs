//! Installs that began at Slack, and wait for somebody who claims them.

use async_trait::async_trait;
use secrecy::ExposeSecret as _;
use sqlx::Row as _;
use tautline_core::parked::{Parked, Parking};
use tautline_core::{InstallationId, SecretHash, StoreResult, Timestamp};

use super::database::sql;
use super::{PostgresStore, value};
use crate::sealed;

#[async_trait]
impl Parking for PostgresStore {
    async fn install_park(
        &self,
        parked: Parked,
        secret: SecretHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<()> {
        let sealed = self.vault.seal(sealed::parked(&parked.id), parked.answers.expose_secret());
        let mut tx = self.database.write().await?;
        tx.execute(sql("DELETE FROM parked_installs WHERE expires_at <= $1").bind(now.as_micros())).await?;
        let park =
            sql("INSERT INTO parked_installs (id, secret_hash, sealed, expires_at) VALUES ($1, $2, $3, $4)")
                .bind(value::uuid(parked.id.as_bytes()))
                .bind(secret.0.to_vec())
                .bind(sealed)
                .bind(expires_at.as_micros());
        tx.execute(park).await?;
        tx.finish(()).await
    }

    async fn install_parked(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<Parked>> {
        let mut tx = self.database.read().await?;
        let found = sql("SELECT id, sealed FROM parked_installs WHERE secret_hash = $1 AND expires_at > $2")
            .bind(secret.0.to_vec())
            .bind(now.as_micros());
        let found =
            tx.maybe(found, |row| Ok((value::id(row, "id")?, row.try_get::<Vec<u8>, _>("sealed")?))).await?;
        let Some((id, sealed)) = tx.finish(found).await? else { return Ok(None) };
        sealed::open_parked(self.vault.as_ref(), InstallationId::from_bytes(id), &sealed).map(Some)
    }

    async fn install_unpark(&self, id: InstallationId) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        let gone = sql("DELETE FROM parked_installs WHERE id = $1").bind(value::uuid(id.as_bytes()));
        tx.execute(gone).await?;
        tx.finish(()).await
    }
}
