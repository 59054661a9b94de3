//! Installs that began at Slack, and wait for somebody who claims them.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};
use secrecy::ExposeSecret as _;
use tautline_core::parked::{Parked, Parking};
use tautline_core::{InstallationId, SecretHash, StoreResult, Timestamp};

use super::{SqliteStore, value};
use crate::sealed;

#[async_trait]
impl Parking for SqliteStore {
    async fn install_park(
        &self,
        parked: Parked,
        secret: SecretHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<()> {
        let id = parked.id;
        let sealed = self.vault.seal(sealed::parked(&id), parked.answers.expose_secret());
        let kept = self.writer.write(move |connection| {
            connection
                .prepare_cached("DELETE FROM parked_installs WHERE expires_at <= ?")?
                .execute([now.as_micros()])?;
            connection
                .prepare_cached(
                    "INSERT INTO parked_installs (id, secret_hash, sealed, expires_at) VALUES (?, ?, ?, ?)",
                )?
                .execute(params![id.as_bytes(), secret.0, sealed, expires_at.as_micros()])?;
            Ok(())
        });
        kept.await
    }

    async fn install_parked(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<Parked>> {
        let vault = self.vault.clone();
        let found = self.lookups.read(move |connection| {
            let found: Option<([u8; 16], Vec<u8>)> = connection
                .prepare_cached(
                    "SELECT id, sealed FROM parked_installs WHERE secret_hash = ? AND expires_at > ?",
                )?
                .query_row(params![secret.0, now.as_micros()], |row| {
                    Ok((value::id(row, "id")?, row.get("sealed")?))
                })
                .optional()?;
            let Some((id, sealed)) = found else { return Ok(None) };
            Ok(Some(sealed::open_parked(vault.as_ref(), InstallationId::from_bytes(id), &sealed)?))
        });
        found.await
    }

    async fn install_unpark(&self, id: InstallationId) -> StoreResult<()> {
        let gone = self.writer.write(move |connection| {
            connection
                .prepare_cached("DELETE FROM parked_installs WHERE id = ?")?
                .execute([id.as_bytes()])?;
            Ok(())
        });
        gone.await
    }
}
