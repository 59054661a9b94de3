//! The directory of channels.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::channel::{Channel, Crawl, CrawlNext, Directory, DirectoryState};
use tautline_core::{InstallationId, StoreResult, TenantId, Timestamp};

use super::{SqliteStore, value};
use crate::columns::like;

#[async_trait]
impl Directory for SqliteStore {
    async fn crawl_claim(&self, now: Timestamp, leased_until: Timestamp) -> StoreResult<Option<Crawl>> {
        let due = self.lookups.read(move |connection| {
            let due = connection
                .prepare_cached("SELECT 1 FROM directories WHERE due_at <= ? LIMIT 1")?
                .exists([now.as_micros()])?;
            Ok(due)
        });
        if !due.await? {
            return Ok(None);
        }
        self.writer.write(move |connection| Ok(claim(connection, now, leased_until)?)).await
    }

    async fn crawl_page(
        &self,
        crawl: &Crawl,
        channels: Vec<Channel>,
        next: CrawlNext,
        now: Timestamp,
    ) -> StoreResult<()> {
        let crawl = crawl.clone();
        self.writer.write(move |connection| Ok(page(connection, &crawl, &channels, &next, now)?)).await
    }

    async fn crawl_ask(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        now: Timestamp,
    ) -> StoreResult<()> {
        let tenant = tenant.clone();
        self.writer.write(move |connection| Ok(ask(connection, &tenant, installation, now)?)).await
    }

    async fn directory(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
    ) -> StoreResult<Option<DirectoryState>> {
        let tenant = tenant.clone();
        let found = self.lookups.read(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT crawled_at, error FROM directories WHERE installation_id = ? AND tenant_id = ?",
                )?
                .query_row(params![installation.as_bytes(), tenant.as_str()], |row| {
                    Ok(DirectoryState {
                        crawled_at: value::time_opt(row, "crawled_at")?,
                        error: row.get("error")?,
                    })
                })
                .optional()?;
            Ok(found)
        });
        found.await
    }

    async fn channels(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        text: &str,
        limit: u32,
    ) -> StoreResult<Vec<Channel>> {
        let (tenant, text) = (tenant.clone(), like(text));
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(
                    r"SELECT channel, name, is_private, is_member, dead FROM channels
                     WHERE installation_id = ?1 AND name LIKE '%' || ?2 || '%' ESCAPE '\'
                       AND EXISTS (SELECT 1 FROM installations WHERE id = ?1 AND tenant_id = ?3)
                     ORDER BY name NOT LIKE ?2 || '%' ESCAPE '\', length(name), name LIMIT ?4",
                )?
                .query_map(params![installation.as_bytes(), text, tenant.as_str(), limit], read)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(found)
        });
        found.await
    }

    async fn channels_by_id(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        ids: &[String],
    ) -> StoreResult<Vec<Channel>> {
        let (tenant, ids) = (tenant.clone(), ids.to_vec());
        let found = self.lookups.read(move |connection| {
            let mut by_id = connection.prepare_cached(
                "SELECT channel, name, is_private, is_member, dead FROM channels
                 WHERE installation_id = ?1 AND channel = ?2
                   AND EXISTS (SELECT 1 FROM installations WHERE id = ?1 AND tenant_id = ?3)",
            )?;
            let mut known = Vec::new();
            for id in &ids {
                known.extend(
                    by_id
                        .query_row(params![installation.as_bytes(), id, tenant.as_str()], read)
                        .optional()?,
                );
            }
            Ok(known)
        });
        found.await
    }

    async fn channel_keep(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        channel: &Channel,
    ) -> StoreResult<()> {
        let (tenant, channel) = (tenant.clone(), channel.clone());
        let kept = self.writer.write(move |connection| {
            if is_theirs(connection, &tenant, installation)? {
                keep(connection, installation, &channel, None)?;
            }
            Ok(())
        });
        kept.await
    }

    async fn channel_forget(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        id: &str,
    ) -> StoreResult<()> {
        let (tenant, id) = (tenant.clone(), id.to_owned());
        let forgotten = self.writer.write(move |connection| {
            if is_theirs(connection, &tenant, installation)? {
                connection
                    .prepare_cached("DELETE FROM channels WHERE installation_id = ? AND channel = ?")?
                    .execute(params![installation.as_bytes(), id])?;
            }
            Ok(())
        });
        forgotten.await
    }

    async fn channel_dead(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        id: &str,
        dead: Option<&str>,
    ) -> StoreResult<bool> {
        let (tenant, id, dead) = (tenant.clone(), id.to_owned(), dead.map(str::to_owned));
        let changed = self.writer.write(move |connection| {
            if !is_theirs(connection, &tenant, installation)? {
                return Ok(false);
            }
            // One that no crawl has seen is known from now on: private ones are seen by nobody who is not in them.
            connection
                .prepare_cached(
                    "INSERT INTO channels (installation_id, channel, name, is_private, is_member, dead, crawl)
                     SELECT ?1, ?2, '', 0, 0, NULL, coalesce((SELECT crawl FROM directories WHERE installation_id = ?1), 0)
                     WHERE ?3 IS NOT NULL ON CONFLICT DO NOTHING",
                )?
                .execute(params![installation.as_bytes(), id, dead])?;
            let changed = connection
                .prepare_cached(
                    "UPDATE channels SET dead = ? WHERE installation_id = ? AND channel = ? AND dead IS NOT ?1",
                )?
                .execute(params![dead, installation.as_bytes(), id])?;
            Ok(changed == 1)
        });
        changed.await
    }
}

fn is_theirs(
    connection: &Connection,
    tenant: &TenantId,
    installation: InstallationId,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM installations WHERE id = ? AND tenant_id = ?")?
        .exists(params![installation.as_bytes(), tenant.as_str()])
}

fn claim(
    connection: &Connection,
    now: Timestamp,
    leased_until: Timestamp,
) -> rusqlite::Result<Option<Crawl>> {
    connection
        .prepare_cached(
            "UPDATE directories SET due_at = ?2 WHERE installation_id =
               (SELECT installation_id FROM directories WHERE due_at <= ?1 ORDER BY due_at LIMIT 1)
             RETURNING tenant_id, installation_id, crawl, cursor",
        )?
        .query_row(params![now.as_micros(), leased_until.as_micros()], |row| {
            Ok(Crawl {
                tenant: value::parsed(row, "tenant_id")?,
                installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
                number: row.get("crawl")?,
                cursor: row.get("cursor")?,
            })
        })
        .optional()
}

fn page(
    connection: &Connection,
    crawl: &Crawl,
    channels: &[Channel],
    next: &CrawlNext,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let id = crawl.installation.as_bytes();
    let is_ours = connection
        .prepare_cached("SELECT 1 FROM directories WHERE installation_id = ? AND crawl = ? AND cursor IS ?")?
        .exists(params![id, crawl.number, crawl.cursor])?;
    if !is_ours {
        return Ok(());
    }
    for channel in channels {
        keep(connection, crawl.installation, channel, Some(crawl.number))?;
    }
    match next {
        CrawlNext::Page { cursor, at } => connection
            .prepare_cached("UPDATE directories SET cursor = ?, due_at = ? WHERE installation_id = ?")?
            .execute(params![cursor, at.as_micros(), id])?,
        CrawlNext::Failed { error, at } => connection
            .prepare_cached(
                "UPDATE directories SET error = coalesce(?, error), due_at = ?
                 WHERE installation_id = ?",
            )?
            .execute(params![error, at.as_micros(), id])?,
        CrawlNext::Done { at } => {
            connection
                .prepare_cached(
                    "DELETE FROM channels WHERE installation_id = ? AND crawl < ? AND dead IS NULL",
                )?
                .execute(params![id, crawl.number])?;
            connection
                .prepare_cached(
                    "UPDATE directories SET cursor = NULL, crawl = crawl + 1, due_at = ?,
                       crawled_at = ?, error = NULL WHERE installation_id = ?",
                )?
                .execute(params![at.as_micros(), now.as_micros(), id])?
        }
    };
    Ok(())
}

/// What Slack shows lives: what it was dead of is over, but for what no look can tell.
fn keep(
    connection: &Connection,
    installation: InstallationId,
    channel: &Channel,
    crawl: Option<i64>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO channels (installation_id, channel, name, is_private, is_member, dead, crawl)
             VALUES (?1, ?2, ?3, ?4, ?5, NULL,
               coalesce(?6, (SELECT crawl FROM directories WHERE installation_id = ?1), 0))
             ON CONFLICT DO UPDATE SET name = excluded.name, is_private = excluded.is_private,
               is_member = excluded.is_member, crawl = excluded.crawl,
               dead = CASE WHEN ?6 IS NULL OR dead IN ('is_archived', 'channel_not_found')
                        OR dead = 'not_in_channel' AND excluded.is_member THEN NULL ELSE dead END",
        )?
        .execute(params![
            installation.as_bytes(),
            channel.id,
            channel.name,
            channel.is_private,
            channel.is_member,
            crawl
        ])?;
    Ok(())
}

/// A workspace is to be crawled: it was never, or may see more now.
pub(super) fn ask(
    connection: &Connection,
    tenant: &TenantId,
    installation: InstallationId,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO directories (installation_id, tenant_id, crawl, due_at)
             SELECT id, tenant_id, 1, ?3 FROM installations WHERE id = ?1 AND tenant_id = ?2
             ON CONFLICT DO UPDATE SET due_at = min(due_at, excluded.due_at)",
        )?
        .execute(params![installation.as_bytes(), tenant.as_str(), now.as_micros()])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Channel> {
    Ok(Channel {
        id: row.get("channel")?,
        name: row.get("name")?,
        is_private: row.get("is_private")?,
        is_member: row.get("is_member")?,
        dead: row.get("dead")?,
    })
}
