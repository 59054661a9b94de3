//! What a person in Slack said and did, erased in parts.

use secrecy::ExposeSecret as _;
use sqlx::Row as _;
use tautline_core::delivery::DeadReason;
use tautline_core::keeping::{ResealCursor, UserErased, names_user};
use tautline_core::outbox::Claimed;
use tautline_core::{RequestId, TenantId, Vault};
use uuid::Uuid;

use super::claim::{claimed_columns, read};
use super::database::{Tx, sql};
use super::failure::Work;
use super::lanes::count_off;
use super::value;
use crate::columns::erased;
use crate::limits::RESEAL_PART;
use crate::sealed;

pub(super) async fn part(
    tx: &mut Tx,
    vault: &dyn Vault,
    tenant: &TenantId,
    user: &str,
    from: &ResealCursor,
) -> Work<UserErased> {
    let (mut part, after) = (UserErased::default(), Uuid::from_slice(&from.row).unwrap_or_default());
    let last = match from.table {
        0 => requests(tx, vault, tenant, user, after, &mut part).await?,
        _ => messages(tx, vault, tenant, user, after, &mut part).await?,
    };
    part.next = match last {
        Some(row) => Some(ResealCursor { table: from.table, row: row.as_bytes().to_vec() }),
        None => (from.table == 0).then(|| ResealCursor { table: 1, row: Vec::new() }),
    };
    Ok(part)
}

async fn requests(
    tx: &mut Tx,
    vault: &dyn Vault,
    tenant: &TenantId,
    user: &str,
    after: Uuid,
    part: &mut UserErased,
) -> Work<Option<Uuid>> {
    let found =
        sql("SELECT id, sealed_body FROM inbox WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3")
            .bind(tenant.to_string())
            .bind(after)
            .bind(RESEAL_PART);
    let found = tx
        .all(found, |row| Ok((row.try_get::<Uuid, _>("id")?, row.try_get::<Vec<u8>, _>("sealed_body")?)))
        .await?;
    let names = |(id, sealed): &(Uuid, Vec<u8>)| {
        let opened = vault.open(sealed::body(Some(tenant), &RequestId::from_bytes(id.into_bytes())), sealed);
        // What does not open shows nobody anything.
        opened.is_ok_and(|body| names_user(body.expose_secret(), user)).then_some(*id)
    };
    let named = found.iter().filter_map(names).collect::<Vec<_>>();
    // Requests first, then their deliveries: in the order of everybody else.
    let lock = sql("SELECT FROM inbox WHERE id = ANY($1) ORDER BY id FOR UPDATE").bind(named.clone());
    tx.execute(lock).await?;
    tx.execute(sql("UPDATE inbox SET sealed_body = '' WHERE id = ANY($1)").bind(named.clone())).await?;
    // Whoever has it in hand comes too late to have it tried again.
    let dead =
        sql("UPDATE deliveries SET state = 'dead', dead_reason = $1, next_at = NULL, leased_until = NULL,
                      attempt = attempt + 1 WHERE request_id = ANY($2) AND state IN ('ready', 'leased')");
    tx.execute(dead.bind(DeadReason::Erased.as_str()).bind(named.clone())).await?;
    let answers = sql("UPDATE attempts SET sealed_answer = NULL
                       WHERE delivery_id IN (SELECT id FROM deliveries WHERE request_id = ANY($1))");
    part.requests += named.len() as u64;
    tx.execute(answers.bind(named)).await?;
    part.looked_at += found.len() as u64;
    Ok(found.last().map(|(id, _)| *id))
}

async fn messages(
    tx: &mut Tx,
    vault: &dyn Vault,
    tenant: &TenantId,
    user: &str,
    after: Uuid,
    part: &mut UserErased,
) -> Work<Option<Uuid>> {
    let found = sql(concat!(
        "SELECT ",
        claimed_columns!(),
        ", m.sealed_arguments FROM messages m WHERE m.tenant_id = $1 AND m.id > $2 ORDER BY m.id LIMIT $3"
    ))
    .bind(tenant.to_string())
    .bind(after)
    .bind(RESEAL_PART);
    let found = tx.all(found, |row| Ok((read(row)?, row.try_get::<Vec<u8>, _>("sealed_arguments")?))).await?;
    let names = |(message, sealed): &&(Claimed, Vec<u8>)| {
        let opened = vault.open(sealed::arguments(tenant, &message.id), sealed);
        message.channel == user || opened.is_ok_and(|arguments| names_user(arguments.expose_secret(), user))
    };
    let named = found.iter().filter(names).map(|(message, _)| value::uuid(message.id.as_bytes()));
    let named = named.collect::<Vec<_>>();
    let cancel = sql(concat!(
        "UPDATE messages m SET state = 'cancelled', error = $1, doubt_since = NULL, doubt_at = NULL
         WHERE m.id = ANY($2) AND (m.state = 'queued' OR m.state = 'uncertain' AND m.doubt_since IS NOT NULL) RETURNING ",
        claimed_columns!()
    ));
    let cancelled = tx.all(cancel.bind(erased!()).bind(named.clone()), read).await?;
    count_off(tx, &cancelled).await?;
    let held =
        sql("UPDATE messages SET state = 'cancelled', error = $1 WHERE id = ANY($2) AND state = 'held'");
    tx.execute(held.bind(erased!()).bind(named.clone())).await?;
    // What is on its way has left.
    let empty = sql("UPDATE messages SET sealed_arguments = ''
                     WHERE id = ANY($1) AND state NOT IN ('queued', 'sending', 'held')");
    let all = named.len() as u64;
    let emptied = tx.execute(empty.bind(named)).await?;
    part.messages += emptied;
    part.on_their_way += all - emptied;
    part.looked_at += found.len() as u64;
    Ok(found.last().map(|(message, _)| value::uuid(message.id.as_bytes())))
}
