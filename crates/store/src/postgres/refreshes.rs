//! Tokens that can be renewed, and who is at it. See `tautline_core::refresh` for the theory of operation.
//!
//! Whoever changes an installation, its row here and its credentials takes them in this order, so that nobody waits in a
//! circle.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::installation::{Credential, CredentialKind, Health, NewInstallation};
use tautline_core::refresh::{Leasing, Refresh, RefreshNext, Refreshes, Rotation, Settled, due_at};
use tautline_core::{InstallationId, StoreResult, TenantId, Timestamp, limits};
use tautline_slack::AppId;
use uuid::Uuid;

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::Work;
use super::installations::enter;
use super::{PostgresStore, value};
use crate::limits::REFRESH_AHEAD_US;
use crate::sealed::{self, SealedRefresh};

/// Rows for tokens that have none, as [`Rotation::of`] has it.
const MISSING: &str = "INSERT INTO refreshes (installation_id, kind, tenant_id, app_id, rotation, due_at)
    SELECT c.installation_id, c.kind, i.tenant_id, i.app_id,
           CASE WHEN i.tenant_id = 'home' OR (c.sealed_refresh_token IS NULL) <> (c.expires_at IS NULL) THEN 'kept'
                WHEN c.expires_at IS NULL THEN 'endless' ELSE 'rotating' END,
           CASE WHEN i.tenant_id <> 'home' AND c.sealed_refresh_token IS NOT NULL
                THEN greatest(c.expires_at - $3, $2) END
    FROM credentials c JOIN installations i ON i.id = c.installation_id
    WHERE i.tenant_id = $1 AND c.kind <> 'incoming_webhook' ON CONFLICT DO NOTHING";

/// A row that was taken.
struct Taken {
    tenant: TenantId,
    installation: InstallationId,
    kind: CredentialKind,
    app: AppId,
    attempt: u32,
    /// By the database's clock: with the attempt it tells this row from one that took its place.
    leased_us: i64,
}

#[async_trait]
impl Refreshes for PostgresStore {
    async fn refresh_claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: usize,
    ) -> StoreResult<Vec<Refresh>> {
        let now_us = self.clock.database_us(now);
        let mut tx = self.database.write().await?;
        let due = sql("SELECT EXISTS (SELECT FROM refreshes
                         WHERE due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)) AS due");
        // Mostly there is nothing; and to look is no reason to write.
        if !tx.one(due.bind(now_us), |row| row.try_get::<bool, _>("due")).await? {
            return tx.finish(Vec::new()).await;
        }
        let take = sql("UPDATE refreshes r SET attempt = r.attempt + 1, leased_until = $2
             FROM (SELECT installation_id, kind FROM refreshes
                   WHERE due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
                   ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED) AS d
             WHERE r.installation_id = d.installation_id AND r.kind = d.kind
             RETURNING r.tenant_id, r.installation_id, r.kind, r.app_id, r.attempt, r.leased_until")
        .bind(now_us)
        .bind(self.clock.database_us(leased_until))
        .bind(value::limit(most));
        let taken = tx.all(take, taken).await?;
        let taken = tx.finish(taken).await?;
        // Each in a transaction of its own: none sees two tenants' schemas.
        let mut opened = Vec::new();
        for taken in taken {
            let mut tx = self.database.write().await?;
            let found = self.opened(&mut tx, taken, now, leased_until).await?;
            opened.extend(tx.finish(found).await?);
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
        let now_us = self.clock.database_us(now);
        let mut tx = self.database.write().await?;
        let found = sql("SELECT leased_until, attempt, due_at FROM refreshes
                         WHERE tenant_id = $1 AND installation_id = $2 AND kind = $3 AND rotation = 'rotating'
                         FOR UPDATE")
        .bind(tenant.to_string())
        .bind(value::uuid(installation.as_bytes()))
        .bind(kind.as_str());
        let found = tx.maybe(found, |row| {
            let leased: Option<i64> = row.try_get("leased_until")?;
            Ok((leased, row.try_get::<i64, _>("attempt")?, row.try_get::<Option<i64>, _>("due_at")?))
        });
        let Some((leased, attempt, due)) = found.await? else { return tx.finish(Leasing::Not).await };
        if is_generation(&mut tx, tenant, installation, kind, generation).await? == Some(false) {
            return tx.finish(Leasing::Not).await;
        }
        if leased.is_some_and(|until| until > now_us) {
            return tx.finish(Leasing::Busy).await;
        }
        if attempt > 0 && leased.is_none() && due.is_some_and(|due| due > now_us) {
            return tx.finish(Leasing::Not).await;
        }
        // It is due from now on: whoever dies with it may have used it up.
        let take = sql("UPDATE refreshes SET attempt = attempt + 1, leased_until = $1,
                          due_at = least(coalesce(due_at, $4), $4)
                        WHERE installation_id = $2 AND kind = $3
                        RETURNING tenant_id, installation_id, kind, app_id, attempt, leased_until")
        .bind(self.clock.database_us(leased_until))
        .bind(value::uuid(installation.as_bytes()))
        .bind(kind.as_str())
        .bind(now_us);
        let taken = tx.one(take, taken).await?;
        let opened = self.opened(&mut tx, taken, now, leased_until).await?;
        tx.finish(opened.map_or(Leasing::Not, |refresh| Leasing::Taken(Box::new(refresh)))).await
    }

    async fn refresh_settle(
        &self,
        refresh: &Refresh,
        next: RefreshNext,
        now: Timestamp,
    ) -> StoreResult<Settled> {
        let mut tx = self.database.write().await?;
        let id = value::uuid(refresh.installation.as_bytes());
        let lock = sql("SELECT id FROM installations WHERE id = $1 AND tenant_id = $2 FOR UPDATE");
        tx.execute(lock.bind(id).bind(refresh.tenant.to_string())).await?;
        let Refresh { tenant, installation, kind, generation, .. } = refresh;
        let found = sql("SELECT attempt, rotation = 'ended' AS has_ended FROM refreshes
                         WHERE installation_id = $1 AND kind = $2 AND tenant_id = $3 FOR UPDATE")
        .bind(id)
        .bind(kind.as_str())
        .bind(tenant.to_string());
        let found = tx.maybe(found, |row| {
            Ok((value::number::<u32>(row, "attempt")?, row.try_get::<bool, _>("has_ended")?))
        });
        let Some((attempt, has_ended)) = found.await? else { return tx.finish(Settled::Replaced).await };
        if is_generation(&mut tx, tenant, *installation, *kind, *generation).await? != Some(true) {
            return tx.finish(Settled::Replaced).await;
        }
        let mends = has_ended && matches!(next, RefreshNext::Renewed(_));
        if attempt != refresh.attempt && !mends {
            return tx.finish(Settled::Outrun).await;
        }
        self.put(&mut tx, refresh, next, now).await?;
        if mends && *kind == CredentialKind::Bot {
            let mend = sql("UPDATE installations SET health = $2, last_error = NULL, last_error_at = NULL
                            WHERE id = $1");
            tx.execute(mend.bind(id).bind(Health::Connected.as_str())).await?;
        }
        tx.finish(Settled::Done).await
    }

    async fn refresh_reconcile(
        &self,
        after: Option<TenantId>,
        now: Timestamp,
    ) -> StoreResult<Option<TenantId>> {
        let mut tx = self.database.write().await?;
        let next = sql("SELECT id FROM tenants WHERE $1 IS NULL OR id > $1 ORDER BY id LIMIT 1")
            .bind(after.map(|after| after.to_string()));
        let next = tx.maybe(next, |row| value::parsed::<TenantId>(row, "id")).await?;
        let Some(tenant) = next else { return tx.finish(None).await };
        if enter(&mut tx, &tenant, false).await? {
            // An earlier version connects anew without knowing of these rows.
            let outdated = sql("DELETE FROM refreshes r USING installations i
                                WHERE r.tenant_id = $1 AND r.rotation = 'ended' AND r.kind = 'bot'
                                  AND i.id = r.installation_id AND i.health = 'connected'");
            tx.execute(outdated.bind(tenant.to_string())).await?;
            let missing = sql(MISSING)
                .bind(tenant.to_string())
                .bind(self.clock.database_us(now))
                .bind(REFRESH_AHEAD_US);
            tx.execute(missing).await?;
        }
        tx.finish(Some(tenant)).await
    }

    async fn refresh_reap(&self) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        tx.execute(sql("UPDATE refreshes SET leased_until = NULL WHERE leased_until IS NOT NULL")).await?;
        tx.finish(()).await
    }
}

impl PostgresStore {
    /// The token of a row that was taken. Without one nothing is to be done any more.
    async fn opened(
        &self,
        tx: &mut Tx,
        taken: Taken,
        now: Timestamp,
        leased_until: Timestamp,
    ) -> Work<Option<Refresh>> {
        let id = value::uuid(taken.installation.as_bytes());
        let found = match enter(tx, &taken.tenant, false).await? {
            true => {
                // As it was taken: somebody may have connected anew since, and that token is not ours to use up.
                let found = sql("SELECT c.sealed_token, c.sealed_refresh_token, c.expires_at, c.generation
                                 FROM refreshes r JOIN credentials c
                                   ON c.installation_id = r.installation_id AND c.kind = r.kind
                                 WHERE r.installation_id = $1 AND r.kind = $2 AND r.attempt = $3
                                   AND r.leased_until = $4 FOR SHARE OF r")
                .bind(id)
                .bind(taken.kind.as_str())
                .bind(i64::from(taken.attempt))
                .bind(taken.leased_us);
                tx.maybe(found, |row| {
                    Ok(SealedRefresh {
                        tenant: taken.tenant,
                        installation: taken.installation,
                        kind: taken.kind,
                        app: taken.app,
                        attempt: taken.attempt,
                        generation: row.try_get("generation")?,
                        token: row.try_get("sealed_token")?,
                        refresh_token: row.try_get("sealed_refresh_token")?,
                        expires_at: value::time_opt(row, "expires_at")?,
                    })
                })
                .await?
            }
            false => None,
        };
        let attempt = i64::from(taken.attempt);
        let row = |update: &'static str| sql(update).bind(id).bind(taken.kind.as_str()).bind(attempt);
        match found.map(|sealed| sealed.open(self.vault.as_ref(), leased_until)) {
            Some(Ok(refresh)) => return Ok(Some(refresh)),
            Some(Err(_)) => {
                let at = self.clock.database_us(now.after(limits::REFRESH_PAUSES.1));
                let postpone = row("UPDATE refreshes SET leased_until = NULL, due_at = $4,
                                      error = 'the token does not open'
                                    WHERE installation_id = $1 AND kind = $2 AND attempt = $3");
                tx.execute(postpone.bind(at)).await?;
            }
            None => {
                // Of a token that is no more nothing is to be done; a row that took its place is somebody else's.
                let gone = "DELETE FROM refreshes r WHERE r.installation_id = $1 AND r.kind = $2 AND r.attempt = $3
                              AND NOT EXISTS (SELECT FROM credentials c
                                              WHERE c.installation_id = r.installation_id AND c.kind = r.kind)";
                tx.execute(row(gone)).await?;
            }
        }
        Ok(None)
    }

    async fn put(&self, tx: &mut Tx, refresh: &Refresh, next: RefreshNext, now: Timestamp) -> Work<()> {
        let (id, kind) = (value::uuid(refresh.installation.as_bytes()), refresh.kind.as_str());
        let (rotation, due, attempt, error) = match &next {
            RefreshNext::Renewed(credential) => {
                let rotation = Rotation::of(&refresh.tenant, credential);
                (Some(rotation), due(&self.clock, rotation, credential, now), 0, None)
            }
            RefreshNext::Again { at, error } => {
                (None, Some(self.clock.database_us(*at)), refresh.attempt, Some(error.as_str()))
            }
            RefreshNext::Kept => (Some(Rotation::Kept), None, refresh.attempt, None),
            RefreshNext::Ended { error } => {
                (Some(Rotation::Ended), None, refresh.attempt, Some(error.as_str()))
            }
        };
        let row =
            sql("UPDATE refreshes SET leased_until = NULL, rotation = coalesce($3, rotation), due_at = $4,
                         attempt = $5, error = $6 WHERE installation_id = $1 AND kind = $2")
            .bind(id)
            .bind(kind)
            .bind(rotation.map(Rotation::as_str))
            .bind(due)
            .bind(i64::from(attempt))
            .bind(value::text_opt(error));
        tx.execute(row).await?;
        match next {
            RefreshNext::Renewed(credential) => {
                let (token, refresh_token) = sealed::credential(
                    self.vault.as_ref(),
                    &refresh.tenant,
                    refresh.installation,
                    &credential,
                );
                // In the tenant's schema since the generation was looked at.
                let keep = sql(
                    "UPDATE credentials SET sealed_token = $3, sealed_refresh_token = $4, expires_at = $5,
                                  generation = generation + 1 WHERE installation_id = $1 AND kind = $2",
                )
                .bind(id)
                .bind(kind)
                .bind(token)
                .bind(refresh_token)
                .bind(credential.expires_at.map(Timestamp::as_micros));
                tx.execute(keep).await?;
            }
            RefreshNext::Ended { error } if refresh.kind == CredentialKind::Bot => {
                let broken = sql("UPDATE installations SET health = $2, last_error = $3, last_error_at = $4
                                  WHERE id = $1")
                .bind(id)
                .bind(Health::Broken.as_str())
                .bind(value::text(&error))
                .bind(now.as_micros());
                tx.execute(broken).await?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Whether a token is still of this generation. `None`: there is none. Goes into the tenant's schema.
async fn is_generation(
    tx: &mut Tx,
    tenant: &TenantId,
    installation: InstallationId,
    kind: CredentialKind,
    generation: i64,
) -> Work<Option<bool>> {
    if !enter(tx, tenant, false).await? {
        return Ok(None);
    }
    let found = sql("SELECT generation FROM credentials WHERE installation_id = $1 AND kind = $2 FOR UPDATE")
        .bind(value::uuid(installation.as_bytes()))
        .bind(kind.as_str());
    let found = tx.maybe(found, |row| row.try_get::<i64, _>("generation")).await?;
    Ok(found.map(|found| found == generation))
}

/// What is to be renewed of a new installation, in place of what was. With the first token of an app that ends, the others'
/// are known to be exchangeable.
pub(super) async fn keep(
    tx: &mut Tx,
    clock: &DatabaseClock,
    installation: InstallationId,
    new: &NewInstallation,
    now: Timestamp,
) -> Work<()> {
    let (id, app) = (value::uuid(installation.as_bytes()), value::text(new.facts.app.as_str()));
    tx.execute(sql("DELETE FROM refreshes WHERE installation_id = $1").bind(id)).await?;
    for credential in new.credentials.iter().filter(|credential| credential.kind.is_token()) {
        let rotation = match Rotation::of(&new.tenant, credential) {
            Rotation::Endless if new.is_shared => Rotation::Kept,
            rotation => rotation,
        };
        let insert = sql("INSERT INTO refreshes (installation_id, kind, tenant_id, app_id, rotation, due_at)
                          VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(id)
        .bind(credential.kind.as_str())
        .bind(new.tenant.to_string())
        .bind(app.clone())
        .bind(rotation.as_str())
        .bind(due(clock, rotation, credential, now));
        tx.execute(insert).await?;
    }
    let exchange =
        sql("UPDATE refreshes SET due_at = $1 WHERE app_id = $2 AND rotation = 'endless' AND due_at IS NULL
                          AND EXISTS (SELECT FROM refreshes WHERE app_id = $2 AND rotation = 'rotating')")
        .bind(clock.database_us(now))
        .bind(app);
    tx.execute(exchange).await?;
    Ok(())
}

fn due(clock: &DatabaseClock, rotation: Rotation, credential: &Credential, now: Timestamp) -> Option<i64> {
    let expires_at = credential.expires_at.filter(|_| rotation == Rotation::Rotating)?;
    Some(clock.database_us(due_at(expires_at, now)))
}

fn taken(row: &PgRow) -> sqlx::Result<Taken> {
    Ok(Taken {
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(row.try_get::<Uuid, _>("installation_id")?.into_bytes()),
        kind: value::named(row, "kind", CredentialKind::from_name)?,
        app: AppId::new(value::read_text(row, "app_id")?),
        attempt: value::number(row, "attempt")?,
        leased_us: row.try_get("leased_until")?,
    })
}
