//! The directory of channels.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::channel::{Channel, Crawl, CrawlNext, Directory, DirectoryState};
use tautline_core::{InstallationId, StoreResult, TenantId, Timestamp};

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::Work;
use super::{PostgresStore, value};
use crate::columns::like;

#[async_trait]
impl Directory for PostgresStore {
    async fn crawl_claim(&self, now: Timestamp, leased_until: Timestamp) -> StoreResult<Option<Crawl>> {
        let mut tx = self.database.write().await?;
        let claim = sql("UPDATE directories SET due_at = $2 WHERE installation_id =
               (SELECT installation_id FROM directories WHERE due_at <= $1 ORDER BY due_at LIMIT 1
                FOR UPDATE SKIP LOCKED)
             RETURNING tenant_id, installation_id, crawl, cursor")
        .bind(self.clock.database_us(now))
        .bind(self.clock.database_us(leased_until));
        let claimed = tx.maybe(claim, |row| {
            Ok(Crawl {
                tenant: value::parsed(row, "tenant_id")?,
                installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
                number: row.try_get("crawl")?,
                cursor: value::read_text_opt(row, "cursor")?,
            })
        });
        let claimed = claimed.await?;
        tx.finish(claimed).await
    }

    async fn crawl_page(
        &self,
        crawl: &Crawl,
        channels: Vec<Channel>,
        next: CrawlNext,
        now: Timestamp,
    ) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        let id = value::uuid(crawl.installation.as_bytes());
        let ours = sql("SELECT FROM directories WHERE installation_id = $1 AND crawl = $2
                          AND cursor IS NOT DISTINCT FROM $3 FOR UPDATE")
        .bind(id)
        .bind(crawl.number)
        .bind(value::text_opt(crawl.cursor.as_deref()));
        if tx.maybe(ours, |_| Ok(())).await?.is_none() {
            return tx.finish(()).await;
        }
        keep(&mut tx, crawl.installation, &channels, Some(crawl.number)).await?;
        let clock = &self.clock;
        let follow = match &next {
            CrawlNext::Page { cursor, at } => {
                sql("UPDATE directories SET cursor = $2, due_at = $3 WHERE installation_id = $1")
                    .bind(id)
                    .bind(value::text(cursor))
                    .bind(clock.database_us(*at))
            }
            CrawlNext::Failed { error, at } => {
                sql("UPDATE directories SET error = coalesce($2, error), due_at = $3
                     WHERE installation_id = $1")
                .bind(id)
                .bind(value::text_opt(error.as_deref()))
                .bind(clock.database_us(*at))
            }
            CrawlNext::Done { at } => {
                let gone =
                    sql("DELETE FROM channels WHERE installation_id = $1 AND crawl < $2 AND dead IS NULL");
                tx.execute(gone.bind(id).bind(crawl.number)).await?;
                sql("UPDATE directories SET cursor = NULL, crawl = crawl + 1, due_at = $2,
                       crawled_at = $3, error = NULL WHERE installation_id = $1")
                .bind(id)
                .bind(clock.database_us(*at))
                .bind(now.as_micros())
            }
        };
        tx.execute(follow).await?;
        tx.finish(()).await
    }

    async fn crawl_ask(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        now: Timestamp,
    ) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        ask(&mut tx, &self.clock, tenant, installation, now).await?;
        tx.finish(()).await
    }

    async fn directory(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
    ) -> StoreResult<Option<DirectoryState>> {
        let mut tx = self.database.read().await?;
        let found =
            sql("SELECT crawled_at, error FROM directories WHERE installation_id = $1 AND tenant_id = $2")
                .bind(value::uuid(installation.as_bytes()))
                .bind(tenant.to_string());
        let found = tx.maybe(found, |row| {
            Ok(DirectoryState {
                crawled_at: value::time_opt(row, "crawled_at")?,
                error: value::read_text_opt(row, "error")?,
            })
        });
        let found = found.await?;
        tx.finish(found).await
    }

    async fn channels(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        text: &str,
        limit: u32,
    ) -> StoreResult<Vec<Channel>> {
        let mut tx = self.lists.read().await?;
        let found = sql(r"SELECT channel, name, is_private, is_member, dead FROM channels
             WHERE installation_id = $1 AND lower(name) LIKE '%' || $2 || '%'
               AND EXISTS (SELECT FROM installations WHERE id = $1 AND tenant_id = $3)
             ORDER BY lower(name) NOT LIKE $2 || '%', length(name), name LIMIT $4")
        .bind(value::uuid(installation.as_bytes()))
        .bind(value::text(&like(&text.to_lowercase())))
        .bind(tenant.to_string())
        .bind(i64::from(limit));
        let found = tx.all(found, read).await?;
        tx.finish(found).await
    }

    async fn channels_by_id(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        ids: &[String],
    ) -> StoreResult<Vec<Channel>> {
        let mut tx = self.database.read().await?;
        let found = sql("SELECT channel, name, is_private, is_member, dead FROM channels
             WHERE installation_id = $1 AND channel = ANY($2)
               AND EXISTS (SELECT FROM installations WHERE id = $1 AND tenant_id = $3)")
        .bind(value::uuid(installation.as_bytes()))
        .bind(ids.iter().map(|id| value::text(id)).collect::<Vec<_>>())
        .bind(tenant.to_string());
        let found = tx.all(found, read).await?;
        tx.finish(found).await
    }

    async fn channel_keep(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        channel: &Channel,
    ) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        if is_theirs(&mut tx, tenant, installation).await? {
            keep(&mut tx, installation, std::slice::from_ref(channel), None).await?;
        }
        tx.finish(()).await
    }

    async fn channel_forget(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        id: &str,
    ) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        if is_theirs(&mut tx, tenant, installation).await? {
            let forget = sql("DELETE FROM channels WHERE installation_id = $1 AND channel = $2")
                .bind(value::uuid(installation.as_bytes()))
                .bind(value::text(id));
            tx.execute(forget).await?;
        }
        tx.finish(()).await
    }

    async fn channel_dead(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        id: &str,
        dead: Option<&str>,
    ) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        if !is_theirs(&mut tx, tenant, installation).await? {
            return tx.finish(false).await;
        }
        let installation = value::uuid(installation.as_bytes());
        if dead.is_some() {
            // One that no crawl has seen is known from now on: private ones are seen by nobody who is not in them.
            let known = sql("INSERT INTO channels (installation_id, channel, name, is_private, is_member, dead, crawl)
                 VALUES ($1, $2, '', false, false, NULL,
                   coalesce((SELECT crawl FROM directories WHERE installation_id = $1), 0)) ON CONFLICT DO NOTHING");
            tx.execute(known.bind(installation).bind(value::text(id))).await?;
        }
        let change = sql("UPDATE channels SET dead = $1
                          WHERE installation_id = $2 AND channel = $3 AND dead IS DISTINCT FROM $1")
        .bind(value::text_opt(dead))
        .bind(installation)
        .bind(value::text(id));
        let changed = tx.execute(change).await?;
        tx.finish(changed == 1).await
    }
}

async fn is_theirs(tx: &mut Tx, tenant: &TenantId, installation: InstallationId) -> Work<bool> {
    let theirs = sql("SELECT FROM installations WHERE id = $1 AND tenant_id = $2 FOR KEY SHARE")
        .bind(value::uuid(installation.as_bytes()))
        .bind(tenant.to_string());
    Ok(tx.maybe(theirs, |_| Ok(())).await?.is_some())
}

/// What Slack shows lives: what it was dead of is over, but for what no look can tell.
async fn keep(
    tx: &mut Tx,
    installation: InstallationId,
    channels: &[Channel],
    crawl: Option<i64>,
) -> Work<()> {
    tx.execute(
        sql("INSERT INTO channels AS c (installation_id, channel, name, is_private, is_member, dead, crawl)
             SELECT DISTINCT ON (n.channel) $1::uuid, n.channel, n.name, n.is_private, n.is_member, NULL::text,
               coalesce($2::bigint, (SELECT crawl FROM directories WHERE installation_id = $1), 0)
             FROM unnest($3::text[], $4::text[], $5::boolean[], $6::boolean[])
               AS n (channel, name, is_private, is_member) ORDER BY n.channel
             ON CONFLICT (installation_id, channel) DO UPDATE SET name = excluded.name,
               is_private = excluded.is_private, is_member = excluded.is_member, crawl = excluded.crawl,
               dead = CASE WHEN $2::bigint IS NULL OR c.dead IN ('is_archived', 'channel_not_found')
                        OR c.dead = 'not_in_channel' AND excluded.is_member THEN NULL ELSE c.dead END")
        .bind(value::uuid(installation.as_bytes()))
        .bind(crawl)
        .bind(channels.iter().map(|channel| value::text(&channel.id)).collect::<Vec<_>>())
        .bind(channels.iter().map(|channel| value::text(&channel.name)).collect::<Vec<_>>())
        .bind(channels.iter().map(|channel| channel.is_private).collect::<Vec<_>>())
        .bind(channels.iter().map(|channel| channel.is_member).collect::<Vec<_>>()),
    )
    .await?;
    Ok(())
}

/// A workspace is to be crawled: it was never, or may see more now.
pub(super) async fn ask(
    tx: &mut Tx,
    clock: &DatabaseClock,
    tenant: &TenantId,
    installation: InstallationId,
    now: Timestamp,
) -> Work<()> {
    tx.execute(
        sql("INSERT INTO directories AS d (installation_id, tenant_id, crawl, due_at)
             SELECT id, tenant_id, 1, $3 FROM installations WHERE id = $1 AND tenant_id = $2
             ON CONFLICT (installation_id) DO UPDATE SET due_at = least(d.due_at, excluded.due_at)")
        .bind(value::uuid(installation.as_bytes()))
        .bind(tenant.to_string())
        .bind(clock.database_us(now)),
    )
    .await?;
    Ok(())
}

fn read(row: &PgRow) -> sqlx::Result<Channel> {
    Ok(Channel {
        id: value::read_text(row, "channel")?,
        name: value::read_text(row, "name")?,
        is_private: row.try_get("is_private")?,
        is_member: row.try_get("is_member")?,
        dead: value::read_text_opt(row, "dead")?,
    })
}
