//! Installations, and their credentials in the tenant's own schema.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::installation::{
    CredentialKind, Facts, Health, Installation, Installations, Installed, Moved, NewInstallation, Only,
};
use tautline_core::refresh::LiveToken;
use tautline_core::standing::Standing;
use tautline_core::{InstallationId, Page, PageRequest, StoreResult, TenantId, Timestamp, Vault};
use tautline_slack::request::Origin;
use tautline_slack::{AppId, EnterpriseId, TeamId};
use uuid::Uuid;

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::{Work, unavailable};
use super::{PostgresStore, connects, directory, moves, refreshes, standings, value};
use crate::{columns, sealed};

macro_rules! installation_columns {
    () => {
        "id, tenant_id, app_id, team_id, team_name, enterprise_id, enterprise_name, is_enterprise_install, scopes,
         bot_user_id, bot_id, health, granted_teams, rate_limited_at, installed_at, updated_at, place"
    };
}

pub(super) use installation_columns;

#[async_trait]
impl Installations for PostgresStore {
    async fn installation_named(&self, origin: &Origin) -> StoreResult<Option<Arc<Installation>>> {
        Ok(self.named.ask(origin.clone()).await?.map(Arc::new))
    }

    async fn installation_store(&self, new: NewInstallation, now: Timestamp) -> StoreResult<Installed> {
        let key = new.facts.key().map_err(unavailable)?.to_string();
        let mut tx = self.database.write().await?;
        let installed = put(&mut tx, &self.clock, self.vault.as_ref(), &key, &new, now).await?;
        tx.finish(installed).await
    }

    async fn installation_only(&self, tenant: &TenantId) -> StoreResult<Only> {
        self.only.ask(tenant.clone()).await
    }

    async fn installation_at(&self, tenant: &TenantId, place: &str) -> StoreResult<Option<Installation>> {
        let mut tx = self.database.read().await?;
        let found = sql(concat!(
            "SELECT ",
            installation_columns!(),
            " FROM installations WHERE tenant_id = $1 AND place = $2 AND (removed_at IS NULL OR removed_at < updated_at) ORDER BY id LIMIT 1"
        ));
        let found = tx.maybe(found.bind(tenant.to_string()).bind(value::text(place)), read).await?;
        tx.finish(found).await
    }

    async fn installation(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
    ) -> StoreResult<Option<Installation>> {
        let mut tx = self.database.read().await?;
        let found = sql(concat!(
            "SELECT ",
            installation_columns!(),
            " FROM installations WHERE tenant_id = $1 AND id = $2 AND (removed_at IS NULL OR removed_at < updated_at)"
        ));
        let found = found.bind(tenant.to_string()).bind(value::uuid(installation.as_bytes()));
        let found = tx.maybe(found, read).await?;
        tx.finish(found).await
    }

    async fn installation_standings(
        &self,
        tenant: &TenantId,
        installations: &[InstallationId],
    ) -> StoreResult<Vec<Standing>> {
        let mut tx = self.lists.read().await?;
        let found = standings::of(&mut tx, tenant, installations).await?;
        tx.finish(found).await
    }

    async fn installations(&self, tenant: &TenantId, page: PageRequest) -> StoreResult<Page<Installation>> {
        let mut tx = self.lists.read().await?;
        let found = sql(concat!(
            "SELECT ",
            installation_columns!(),
            " FROM installations WHERE tenant_id = $1 AND (removed_at IS NULL OR removed_at < updated_at) AND ($2 IS NULL OR id < $2)
             ORDER BY id DESC LIMIT $3"
        ))
        .bind(tenant.to_string())
        .bind(page.after.map(|cursor| value::uuid(&cursor.0)))
        .bind(i64::from(page.limit) + 1);
        let found = tx.all(found, read).await?;
        tx.finish(Page::of(found, page, |installation| *installation.id.as_bytes())).await
    }

    async fn installation_remove(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        not_after: Timestamp,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let id = value::uuid(installation.as_bytes());
        let remove = sql("UPDATE installations SET removed_at = $1, granted_teams = NULL
                          WHERE tenant_id = $2 AND id = $3 AND updated_at <= $4
                            AND (removed_at IS NULL OR removed_at < updated_at)")
        .bind(now.as_micros())
        .bind(tenant.to_string())
        .bind(id)
        .bind(not_after.as_micros());
        let is_removed = tx.execute(remove).await? > 0;
        if is_removed {
            forget_all_of(&mut tx, id).await?;
        }
        if is_removed && enter(&mut tx, tenant, false).await? {
            tx.execute(sql("DELETE FROM credentials WHERE installation_id = $1").bind(id)).await?;
        }
        tx.finish(is_removed).await
    }

    async fn installation_move(
        &self,
        installation: InstallationId,
        to: &TenantId,
        new_id: InstallationId,
        now: Timestamp,
    ) -> StoreResult<Moved> {
        let mut tx = self.database.write().await?;
        let moved =
            moves::to(&mut tx, &self.clock, self.vault.as_ref(), installation, to, new_id, now).await?;
        tx.finish(moved).await
    }

    async fn credential_remove(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        kind: CredentialKind,
        not_after: Timestamp,
    ) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let id = value::uuid(installation.as_bytes());
        let older = sql("SELECT id FROM installations WHERE tenant_id = $1 AND id = $2 AND updated_at <= $3
                         FOR UPDATE")
        .bind(tenant.to_string())
        .bind(id)
        .bind(not_after.as_micros());
        let is_older = tx.maybe(older, |row| value::id(row, "id")).await?.is_some();
        if !is_older || !enter(&mut tx, tenant, false).await? {
            return tx.finish(false).await;
        }
        let remove = sql("DELETE FROM credentials WHERE installation_id = $1 AND kind = $2");
        let removed = tx.execute(remove.bind(id).bind(kind.as_str())).await?;
        tx.finish(removed > 0).await
    }

    async fn installation_granted(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        granted: &[TeamId],
        revoked: &[TeamId],
    ) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        let id = value::uuid(installation.as_bytes());
        let known =
            sql("SELECT granted_teams FROM installations WHERE tenant_id = $1 AND id = $2 FOR UPDATE");
        let known = known.bind(tenant.to_string()).bind(id);
        let known = tx.maybe(known, |row| value::read_text_opt(row, "granted_teams")).await?;
        let Some(known) = known else { return tx.finish(()).await };
        let teams = columns::teams_after(known.as_deref(), granted, revoked);
        let keep = sql("UPDATE installations SET granted_teams = $1 WHERE id = $2").bind(teams).bind(id);
        tx.execute(keep).await?;
        tx.finish(()).await
    }

    async fn installation_broken(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        generation: i64,
        error: &str,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let id = value::uuid(installation.as_bytes());
        // With the installation held, nobody gives it another token.
        let hold = sql("SELECT id FROM installations WHERE tenant_id = $1 AND id = $2 AND health = $3
                          AND (removed_at IS NULL OR removed_at < updated_at) FOR UPDATE");
        let hold = hold.bind(tenant.to_string()).bind(id).bind(Health::Connected.as_str());
        if tx.execute(hold).await? == 0 || !enter(&mut tx, tenant, false).await? {
            return tx.finish(false).await;
        }
        let broken = sql("UPDATE installations SET health = $1, last_error = $4, last_error_at = $5
                          WHERE id = $2 AND EXISTS (SELECT FROM credentials
                            WHERE installation_id = $2 AND kind = 'bot' AND generation = $3)");
        let broken = broken.bind(Health::Broken.as_str()).bind(id).bind(generation);
        let broken = broken.bind(value::text(error)).bind(now.as_micros());
        let is_changed = tx.execute(broken).await? > 0;
        tx.finish(is_changed).await
    }

    async fn installation_limited(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        at: Timestamp,
    ) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        let keep = sql("UPDATE installations SET rate_limited_at = $1 WHERE tenant_id = $2 AND id = $3")
            .bind(at.as_micros())
            .bind(tenant.to_string())
            .bind(value::uuid(installation.as_bytes()));
        tx.execute(keep).await?;
        tx.finish(()).await
    }

    async fn installation_token(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        kind: CredentialKind,
    ) -> StoreResult<Option<LiveToken>> {
        let mut tx = self.database.read().await?;
        if !enter(&mut tx, tenant, false).await? {
            return tx.finish(None).await;
        }
        let found = sql("SELECT sealed_token, generation, expires_at, sealed_refresh_token IS NOT NULL AND NOT EXISTS
                           (SELECT FROM refreshes WHERE installation_id = $1 AND kind = $2 AND rotation = 'ended') AS renews
                         FROM credentials WHERE installation_id = $1 AND kind = $2")
        .bind(value::uuid(installation.as_bytes()))
        .bind(kind.as_str());
        let found = tx.maybe(found, |row| {
            let sealed = row.try_get::<Vec<u8>, _>("sealed_token")?;
            let expires_at = value::time_opt(row, "expires_at")?;
            Ok((sealed, row.try_get("generation")?, expires_at, row.try_get("renews")?))
        });
        let found = found.await?;
        let Some((sealed, generation, expires_at, renews)) = tx.finish(found).await? else { return Ok(None) };
        let token = sealed::open_token(self.vault.as_ref(), tenant, installation, kind, &sealed)?;
        Ok(Some(LiveToken { token, generation, expires_at, renews }))
    }
}

/// What an installation leaves besides its credentials: its refreshes, its pace, and what is known of its channels.
pub(super) async fn forget_all_of(tx: &mut Tx, id: Uuid) -> Work<()> {
    for forget in [
        "DELETE FROM refreshes WHERE installation_id = $1",
        "DELETE FROM lane_names WHERE installation_id = $1",
        "DELETE FROM moved_channels WHERE installation_id = $1",
        "DELETE FROM paces WHERE installation_id = $1",
        "DELETE FROM channels WHERE installation_id = $1",
        "DELETE FROM directories WHERE installation_id = $1",
    ] {
        tx.execute(sql(forget).bind(id)).await?;
    }
    Ok(())
}

/// Stores an installation with its credentials.
pub(super) async fn put(
    tx: &mut Tx,
    clock: &DatabaseClock,
    vault: &dyn Vault,
    key: &str,
    new: &NewInstallation,
    now: Timestamp,
) -> Work<Installed> {
    // Of two tenants that connect one workspace at once, the second waits here and finds the first's.
    tx.execute(sql("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(value::text(key))).await?;
    // What ended belongs to nobody: whoever comes first has the workspace.
    let ended = sql("DELETE FROM installations
                     WHERE install_key = $1 AND tenant_id <> $2 AND removed_at >= updated_at");
    tx.execute(ended.bind(value::text(key)).bind(new.tenant.to_string())).await?;
    let existing =
        sql(concat!("SELECT ", installation_columns!(), " FROM installations WHERE install_key = $1"));
    let existing = tx.maybe(existing.bind(value::text(key)), read).await?;
    if let Some(existing) = &existing
        && existing.tenant != new.tenant
    {
        let tenant = existing.tenant.clone();
        return Ok(Installed::BelongsToAnother { tenant });
    }
    if let Some(link) = new.link
        && !connects::use_up(tx, &new.tenant, link, now).await?
    {
        return Ok(Installed::LinkUsed);
    }
    let installation = new.over(existing.as_ref(), now);
    write(tx, &installation, key).await?;
    refreshes::keep(tx, clock, installation.id, new, now).await?;
    directory::ask(tx, clock, &new.tenant, installation.id, now).await?;
    write_credentials(tx, vault, installation.id, new, now).await?;
    Ok(Installed::Done(Box::new(installation)))
}

/// Goes into the tenant's schema for the rest of the transaction. `false`: there is none, and none was to be made.
pub(super) async fn enter(tx: &mut Tx, tenant: &TenantId, make: bool) -> Work<bool> {
    let enter = sql("SELECT enter_tenant($1, $2) AS entered").bind(tenant.to_string()).bind(make);
    tx.one(enter, |row| row.try_get("entered")).await
}

async fn write(tx: &mut Tx, installation: &Installation, key: &str) -> Work<()> {
    let Installation { id, tenant, facts, health, installed_at, updated_at, .. } = installation;
    let place = key.split_once('/').map_or("", |(_, place)| place);
    tx.execute(
        sql("INSERT INTO installations (id, tenant_id, install_key, place, app_id, team_id, team_name,
               enterprise_id, enterprise_name, is_enterprise_install, scopes, bot_user_id, bot_id, health,
               installed_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
             ON CONFLICT (install_key) DO UPDATE SET
               team_id = excluded.team_id, team_name = excluded.team_name,
               enterprise_id = excluded.enterprise_id, enterprise_name = excluded.enterprise_name,
               is_enterprise_install = excluded.is_enterprise_install, scopes = excluded.scopes,
               bot_user_id = excluded.bot_user_id, bot_id = excluded.bot_id, health = excluded.health,
               removed_at = NULL, last_error = NULL, last_error_at = NULL, updated_at = excluded.updated_at")
        .bind(value::uuid(id.as_bytes()))
        .bind(tenant.to_string())
        .bind(value::text(key))
        .bind(value::text(place))
        .bind(value::text(facts.app.as_str()))
        .bind(value::text_opt(facts.team.as_ref().map(TeamId::as_str)))
        .bind(value::text_opt(facts.team_name.as_deref()))
        .bind(value::text_opt(facts.enterprise.as_ref().map(EnterpriseId::as_str)))
        .bind(value::text_opt(facts.enterprise_name.as_deref()))
        .bind(facts.is_enterprise_install)
        .bind(value::text(&facts.scopes.join(",")))
        .bind(value::text_opt(facts.bot_user_id.as_deref()))
        .bind(value::text_opt(facts.bot_id.as_deref()))
        .bind(health.as_str())
        .bind(installed_at.as_micros())
        .bind(updated_at.as_micros()),
    )
    .await?;
    Ok(())
}

/// Replaces all credentials: what was not granted again is gone. The generation goes on counting.
async fn write_credentials(
    tx: &mut Tx,
    vault: &dyn Vault,
    installation: InstallationId,
    new: &NewInstallation,
    now: Timestamp,
) -> Work<()> {
    enter(tx, &new.tenant, true).await?;
    let id = value::uuid(installation.as_bytes());
    // Above the time as well: what was removed and comes again takes no number that was there before.
    let next = sql("SELECT greatest(coalesce(max(generation), 0) + 1, $2) AS next FROM credentials
                    WHERE installation_id = $1");
    let generation: i64 = tx.one(next.bind(id).bind(now.as_micros()), |row| row.try_get("next")).await?;
    tx.execute(sql("DELETE FROM credentials WHERE installation_id = $1").bind(id)).await?;
    for credential in &new.credentials {
        let (token, refresh_token) = sealed::credential(vault, &new.tenant, installation, credential);
        tx.execute(
            sql("INSERT INTO credentials (installation_id, kind, sealed_token, sealed_refresh_token,
                   expires_at, generation) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(id)
            .bind(credential.kind.as_str())
            .bind(token)
            .bind(refresh_token)
            .bind(credential.expires_at.map(Timestamp::as_micros))
            .bind(generation),
        )
        .await?;
    }
    Ok(())
}

pub(super) fn read(row: &PgRow) -> sqlx::Result<Installation> {
    let text = |column| value::read_text_opt(row, column);
    Ok(Installation {
        id: InstallationId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        facts: Facts {
            app: AppId::new(value::read_text(row, "app_id")?),
            team: text("team_id")?.map(TeamId::new),
            team_name: text("team_name")?,
            enterprise: text("enterprise_id")?.map(EnterpriseId::new),
            enterprise_name: text("enterprise_name")?,
            is_enterprise_install: row.try_get("is_enterprise_install")?,
            scopes: tautline_slack::scopes::parse(&value::read_text(row, "scopes")?),
            bot_user_id: text("bot_user_id")?,
            bot_id: text("bot_id")?,
        },
        health: value::named(row, "health", Health::from_name)?,
        granted_teams: columns::read_teams(text("granted_teams")?.as_deref()),
        rate_limited_at: value::time_opt(row, "rate_limited_at")?,
        installed_at: value::time(row, "installed_at")?,
        updated_at: value::time(row, "updated_at")?,
    })
}
