//! Installations and their credentials.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::installation::{
    CredentialKind, Facts, Health, Installation, Installations, Installed, Moved, NewInstallation, Only,
};
use tautline_core::refresh::LiveToken;
use tautline_core::standing::Standing;
use tautline_core::{InstallationId, Page, PageRequest, StoreResult, TenantId, Timestamp, Vault};
use tautline_slack::request::Origin;
use tautline_slack::{AppId, EnterpriseId, TeamId};

use super::failure::{Work, unavailable};
use super::{SqliteStore, connects, directory, moves, refreshes, standings, value};
use crate::{columns, sealed};

macro_rules! installation_columns {
    () => {
        "id, tenant_id, app_id, team_id, team_name, enterprise_id, enterprise_name, is_enterprise_install, scopes,
         bot_user_id, bot_id, health, granted_teams, rate_limited_at, installed_at, updated_at"
    };
}

pub(super) use installation_columns;

#[async_trait]
impl Installations for SqliteStore {
    async fn installation_named(&self, origin: &Origin) -> StoreResult<Option<Arc<Installation>>> {
        let since = match self.known.get(origin) {
            Ok(installation) => return Ok(Some(installation)),
            Err(since) => since,
        };
        let wanted = origin.clone();
        let found = self.look_up(move |connection| named(connection, &wanted)).await?.map(Arc::new);
        found.iter().for_each(|installation| self.known.keep(since, origin, installation));
        Ok(found)
    }

    async fn installation_store(&self, new: NewInstallation, now: Timestamp) -> StoreResult<Installed> {
        let key = new.facts.key().map_err(unavailable)?.to_string();
        let vault = self.vault.clone();
        let stored = self.writer.write(move |connection| put(connection, vault.as_ref(), &key, &new, now));
        stored.await
    }

    async fn installation_only(&self, tenant: &TenantId) -> StoreResult<Only> {
        let tenant = tenant.clone();
        let found = self.look_up(move |connection| {
            let two = connection
                .prepare_cached(concat!(
                    "SELECT ",
                    installation_columns!(),
                    " FROM installations WHERE tenant_id = ? AND (removed_at IS NULL OR removed_at < updated_at)
                     ORDER BY id DESC LIMIT 2"
                ))?
                .query_map([tenant.as_str()], read)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Only::of(two))
        });
        found.await
    }

    async fn installation_at(&self, tenant: &TenantId, place: &str) -> StoreResult<Option<Installation>> {
        let (tenant, place) = (tenant.clone(), place.to_owned());
        let found = self.look_up(move |connection| {
            connection
                .prepare_cached(concat!(
                    "SELECT ",
                    installation_columns!(),
                    " FROM installations WHERE tenant_id = ? AND place = ? AND (removed_at IS NULL OR removed_at < updated_at) ORDER BY id LIMIT 1"
                ))?
                .query_row(params![tenant.as_str(), place], read)
                .optional()
        });
        found.await
    }

    async fn installation(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
    ) -> StoreResult<Option<Installation>> {
        let tenant = tenant.clone();
        let found = self.lookups.read(move |connection| {
            let found = connection
                .prepare_cached(concat!(
                    "SELECT ",
                    installation_columns!(),
                    " FROM installations WHERE tenant_id = ? AND id = ? AND (removed_at IS NULL OR removed_at < updated_at)"
                ))?
                .query_row(params![tenant.as_str(), installation.as_bytes()], read)
                .optional()?;
            Ok(found)
        });
        found.await
    }

    async fn installation_standings(
        &self,
        tenant: &TenantId,
        installations: &[InstallationId],
    ) -> StoreResult<Vec<Standing>> {
        let (tenant, installations) = (tenant.clone(), installations.to_vec());
        let found =
            self.lists.read(move |connection| Ok(standings::of(connection, &tenant, &installations)?));
        found.await
    }

    async fn installations(&self, tenant: &TenantId, page: PageRequest) -> StoreResult<Page<Installation>> {
        let tenant = tenant.clone();
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(concat!(
                    "SELECT ",
                    installation_columns!(),
                    " FROM installations
                     WHERE tenant_id = ?1 AND (removed_at IS NULL OR removed_at < updated_at) AND (?2 IS NULL OR id < ?2)
                     ORDER BY id DESC LIMIT ?3"
                ))?
                .query_map(
                    params![tenant.as_str(), page.after.map(|cursor| cursor.0), i64::from(page.limit) + 1],
                    read,
                )?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Page::of(found, page, |installation| *installation.id.as_bytes()))
        });
        found.await
    }

    async fn installation_remove(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        not_after: Timestamp,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let tenant = tenant.clone();
        let removed = self.writer.write(move |connection| {
            let id = installation.as_bytes();
            let removed = connection
                .prepare_cached(
                    "UPDATE installations SET removed_at = ?, granted_teams = NULL
                     WHERE tenant_id = ? AND id = ? AND updated_at <= ?
                       AND (removed_at IS NULL OR removed_at < updated_at)",
                )?
                .execute(params![now.as_micros(), tenant.as_str(), id, not_after.as_micros()])?;
            if removed > 0 {
                forget_all_of(connection, id)?;
            }
            Ok(removed > 0)
        });
        removed.await
    }

    async fn installation_move(
        &self,
        installation: InstallationId,
        to: &TenantId,
        new_id: InstallationId,
        now: Timestamp,
    ) -> StoreResult<Moved> {
        let (to, vault) = (to.clone(), self.vault.clone());
        let moved = self
            .writer
            .write(move |connection| moves::to(connection, vault.as_ref(), installation, &to, new_id, now));
        moved.await
    }

    async fn credential_remove(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        kind: CredentialKind,
        not_after: Timestamp,
    ) -> StoreResult<bool> {
        let tenant = tenant.clone();
        let removed = self.writer.write(move |connection| {
            let removed = connection
                .prepare_cached(
                    "DELETE FROM credentials WHERE tenant_id = ?1 AND installation_id = ?2 AND kind = ?3
                       AND EXISTS (SELECT 1 FROM installations WHERE id = ?2 AND updated_at <= ?4)",
                )?
                .execute(params![
                    tenant.as_str(),
                    installation.as_bytes(),
                    kind.as_str(),
                    not_after.as_micros()
                ])?;
            Ok(removed > 0)
        });
        removed.await
    }

    async fn installation_granted(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        granted: &[TeamId],
        revoked: &[TeamId],
    ) -> StoreResult<()> {
        let (tenant, granted, revoked) = (tenant.clone(), granted.to_vec(), revoked.to_vec());
        let kept = self.writer.write(move |connection| {
            let known: Option<Option<String>> = connection
                .prepare_cached("SELECT granted_teams FROM installations WHERE tenant_id = ? AND id = ?")?
                .query_row(params![tenant.as_str(), installation.as_bytes()], |row| row.get(0))
                .optional()?;
            let Some(known) = known else { return Ok(()) };
            let teams = columns::teams_after(known.as_deref(), &granted, &revoked);
            connection
                .prepare_cached("UPDATE installations SET granted_teams = ? WHERE tenant_id = ? AND id = ?")?
                .execute(params![teams, tenant.as_str(), installation.as_bytes()])?;
            Ok(())
        });
        kept.await
    }

    async fn installation_broken(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        generation: i64,
        error: &str,
        now: Timestamp,
    ) -> StoreResult<bool> {
        let (tenant, error) = (tenant.clone(), error.to_owned());
        let broken = self.writer.write(move |connection| {
            let changed = connection
                .prepare_cached(
                    "UPDATE installations SET health = ?1, last_error = ?2, last_error_at = ?3
                     WHERE tenant_id = ?4 AND id = ?5 AND health = ?6
                       AND (removed_at IS NULL OR removed_at < updated_at)
                       AND EXISTS (SELECT 1 FROM credentials WHERE tenant_id = ?4 AND installation_id = ?5
                                     AND kind = 'bot' AND generation = ?7)",
                )?
                .execute(params![
                    Health::Broken.as_str(),
                    error,
                    now.as_micros(),
                    tenant.as_str(),
                    installation.as_bytes(),
                    Health::Connected.as_str(),
                    generation
                ])?;
            Ok(changed > 0)
        });
        broken.await
    }

    async fn installation_limited(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        at: Timestamp,
    ) -> StoreResult<()> {
        let tenant = tenant.clone();
        let kept = self.writer.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE installations SET rate_limited_at = ? WHERE tenant_id = ? AND id = ?",
                )?
                .execute(params![at.as_micros(), tenant.as_str(), installation.as_bytes()])?;
            Ok(())
        });
        kept.await
    }

    async fn installation_token(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        kind: CredentialKind,
    ) -> StoreResult<Option<LiveToken>> {
        let owner = tenant.clone();
        let found = self.look_up(move |connection| {
            connection
                .prepare_cached(
                    "SELECT sealed_token, generation, expires_at, sealed_refresh_token IS NOT NULL AND NOT EXISTS
                       (SELECT 1 FROM refreshes WHERE installation_id = ?2 AND kind = ?3 AND rotation = 'ended')
                     FROM credentials WHERE tenant_id = ?1 AND installation_id = ?2 AND kind = ?3",
                )?
                .query_row(params![owner.as_str(), installation.as_bytes(), kind.as_str()], |row| {
                    let sealed: Vec<u8> = row.get(0)?;
                    Ok((sealed, row.get(1)?, value::time_opt(row, "expires_at")?, row.get(3)?))
                })
                .optional()
        });
        let Some((sealed, generation, expires_at, renews)) = found.await? else { return Ok(None) };
        let token = sealed::open_token(self.vault.as_ref(), tenant, installation, kind, &sealed)?;
        Ok(Some(LiveToken { token, generation, expires_at, renews }))
    }
}

/// Stores an installation with its credentials.
pub(super) fn put(
    connection: &Connection,
    vault: &dyn Vault,
    key: &str,
    new: &NewInstallation,
    now: Timestamp,
) -> Work<Installed> {
    // What ended belongs to nobody: whoever comes first has the workspace.
    connection
        .prepare_cached(
            "DELETE FROM installations WHERE install_key = ? AND tenant_id <> ? AND removed_at >= updated_at",
        )?
        .execute(params![key, new.tenant.as_str()])?;
    let existing = connection
        .prepare_cached(concat!(
            "SELECT ",
            installation_columns!(),
            " FROM installations WHERE install_key = ?"
        ))?
        .query_row([key], read)
        .optional()?;
    if let Some(existing) = &existing
        && existing.tenant != new.tenant
    {
        return Ok(Installed::BelongsToAnother { tenant: existing.tenant.clone() });
    }
    if let Some(link) = new.link
        && !connects::use_up(connection, &new.tenant, link, now)?
    {
        return Ok(Installed::LinkUsed);
    }
    let installation = new.over(existing.as_ref(), now);
    write(connection, &installation, key)?;
    refreshes::keep(connection, installation.id, new, now)?;
    directory::ask(connection, &new.tenant, installation.id, now)?;
    write_credentials(connection, vault, installation.id, new, now)?;
    Ok(Installed::Done(Box::new(installation)))
}

/// What an installation leaves: its credentials, its pace, and what is known of its channels.
pub(super) fn forget_all_of(connection: &Connection, installation: &[u8; 16]) -> rusqlite::Result<()> {
    for table in
        ["credentials", "refreshes", "lane_names", "moved_channels", "paces", "channels", "directories"]
    {
        let delete = format!("DELETE FROM {table} WHERE installation_id = ?");
        connection.prepare_cached(&delete)?.execute([installation])?;
    }
    Ok(())
}

fn named(connection: &Connection, origin: &Origin) -> rusqlite::Result<Option<Installation>> {
    // Some legacy payloads name no app. Then the place must have one installation, not one of several.
    let mut find = connection.prepare_cached(concat!(
        "SELECT ",
        installation_columns!(),
        " FROM installations WHERE place = ?1 AND (?2 IS NULL OR app_id = ?2)
            AND (removed_at IS NOT NULL AND removed_at >= updated_at) = ?3 LIMIT 2"
    ))?;
    // Those that ended come last: they hide none that lives.
    for is_removed in [false, true] {
        for place in origin.places() {
            let app = origin.app.as_ref().map(AppId::as_str);
            let found = find.query_map(params![place, app, is_removed], read)?;
            let found = found.collect::<rusqlite::Result<Vec<_>>>()?;
            if let Ok([installation]) = <[_; 1]>::try_from(found)
                && installation.is_meant_by(origin)
            {
                return Ok(Some(installation));
            }
        }
    }
    Ok(None)
}

fn write(connection: &Connection, installation: &Installation, key: &str) -> rusqlite::Result<()> {
    let Installation { id, tenant, facts, health, installed_at, updated_at, .. } = installation;
    let place = key.split_once('/').map_or("", |(_, place)| place);
    connection
        .prepare_cached(
            "INSERT INTO installations (id, tenant_id, install_key, place, app_id, team_id, team_name,
               enterprise_id, enterprise_name, is_enterprise_install, scopes, bot_user_id, bot_id, health,
               installed_at, updated_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (install_key) DO UPDATE SET
               team_id = excluded.team_id, team_name = excluded.team_name,
               enterprise_id = excluded.enterprise_id, enterprise_name = excluded.enterprise_name,
               is_enterprise_install = excluded.is_enterprise_install, scopes = excluded.scopes,
               bot_user_id = excluded.bot_user_id, bot_id = excluded.bot_id, health = excluded.health,
               removed_at = NULL, last_error = NULL, last_error_at = NULL, updated_at = excluded.updated_at",
        )?
        .execute(params![
            id.as_bytes(),
            tenant.as_str(),
            key,
            place,
            facts.app.as_str(),
            facts.team.as_ref().map(TeamId::as_str),
            facts.team_name,
            facts.enterprise.as_ref().map(EnterpriseId::as_str),
            facts.enterprise_name,
            facts.is_enterprise_install,
            facts.scopes.join(","),
            facts.bot_user_id,
            facts.bot_id,
            health.as_str(),
            installed_at.as_micros(),
            updated_at.as_micros(),
        ])?;
    Ok(())
}

/// Replaces all credentials: what was not granted again is gone. The generation goes on counting.
fn write_credentials(
    connection: &Connection,
    vault: &dyn Vault,
    installation: InstallationId,
    new: &NewInstallation,
    now: Timestamp,
) -> Work<()> {
    // Above the time as well: what was removed and comes again takes no number that was there before.
    let generation: i64 = connection
        .prepare_cached(
            "SELECT max(coalesce(max(generation), 0) + 1, ?) FROM credentials WHERE tenant_id = ? AND installation_id = ?",
        )?
        .query_row(params![now.as_micros(), new.tenant.as_str(), installation.as_bytes()], |row| row.get(0))?;
    connection
        .prepare_cached("DELETE FROM credentials WHERE tenant_id = ? AND installation_id = ?")?
        .execute(params![new.tenant.as_str(), installation.as_bytes()])?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO credentials (tenant_id, installation_id, kind, sealed_token, sealed_refresh_token,
           expires_at, generation) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    for credential in &new.credentials {
        let (token, refresh_token) = sealed::credential(vault, &new.tenant, installation, credential);
        insert.execute(params![
            new.tenant.as_str(),
            installation.as_bytes(),
            credential.kind.as_str(),
            token,
            refresh_token,
            credential.expires_at.map(Timestamp::as_micros),
            generation,
        ])?;
    }
    Ok(())
}

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Installation> {
    let text = |column| row.get::<_, Option<String>>(column);
    Ok(Installation {
        id: InstallationId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        facts: Facts {
            app: AppId::new(row.get::<_, String>("app_id")?),
            team: text("team_id")?.map(TeamId::new),
            team_name: text("team_name")?,
            enterprise: text("enterprise_id")?.map(EnterpriseId::new),
            enterprise_name: text("enterprise_name")?,
            is_enterprise_install: row.get("is_enterprise_install")?,
            scopes: tautline_slack::scopes::parse(&row.get::<_, String>("scopes")?),
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
