//! Deliveries as they are listed: a part of the table is looked at, and what fits is shown.

use sqlx::postgres::PgRow;
use tautline_core::delivery::{Delivery, DeliveryFilter, DeliveryState, Listed};
use tautline_core::{Cursor, Page, PageRequest, TenantId, Vault, least_at, limits};
use uuid::Uuid;

use super::database::{Tx, sql};
use super::failure::Work;
use super::{attempts, deliveries, inbox, value};

const NO_VAULT: Option<&dyn Vault> = None;

/// Dead ones are few, and have an index.
macro_rules! seen {
    ($what:literal, $part:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM deliveries WHERE ",
            $part,
            "id < $1 AND id >= $2 ORDER BY id DESC LIMIT $3"
        )
    };
}

macro_rules! found {
    ($part:literal) => {
        concat!(
            "SELECT d.*, i.kind, i.name, i.received_at FROM (",
            seen!("*", $part),
            ") d JOIN inbox i ON i.id = d.request_id
             WHERE ($4 IS NULL OR d.tenant_id = $4) AND ($5 IS NULL OR d.endpoint_id = $5)
               AND ($6 IS NULL OR d.state = $6) ORDER BY d.id DESC LIMIT $7"
        )
    };
}

macro_rules! last {
    ($part:literal) => {
        // There is no least of UUIDs.
        concat!(
            "SELECT (array_agg(id ORDER BY id))[1] AS last, count(*) AS seen FROM (",
            seen!("id", $part),
            ") AS looked_at"
        )
    };
}

pub(super) async fn list(tx: &mut Tx, filter: &DeliveryFilter, page: PageRequest) -> Work<Page<Listed>> {
    let (found, last) = match filter.state {
        Some(DeliveryState::Dead) => (found!("state = 'dead' AND "), last!("state = 'dead' AND ")),
        _ => (found!(""), last!("")),
    };
    let after = Uuid::from_bytes(page.after.map_or([0xff; 16], |cursor| cursor.0));
    let since = Uuid::from_bytes(filter.since.map(least_at).unwrap_or_default());
    let bounded = |text| sql(text).bind(after).bind(since).bind(i64::from(limits::DELIVERIES_SEEN));
    let found = bounded(found)
        .bind(filter.tenant.as_ref().map(ToString::to_string))
        .bind(filter.endpoint.map(|id| value::uuid(id.as_bytes())))
        .bind(filter.state.map(DeliveryState::as_str))
        .bind(i64::from(page.limit) + 1);
    let read = |row: &PgRow| {
        let (tenant, delivery) = deliveries::read(row)?;
        let name = value::read_text(row, "name")?;
        Ok(((tenant, delivery), inbox::kind(row)?, name, value::time(row, "received_at")?))
    };
    let found = tx.all(found, read).await?;
    let mut page = Page::of(found, page, |((_, delivery), ..)| *delivery.id.as_bytes());
    if page.next.is_none() {
        // The last that was looked at, if that was not all.
        let seen = |row: &PgRow| {
            let seen: u32 = value::number(row, "seen")?;
            Ok(if seen == limits::DELIVERIES_SEEN { Some(value::id(row, "last")?) } else { None })
        };
        page.next = tx.one(bounded(last), seen).await?.map(Cursor);
    }
    let whose = page.items.iter().map(|(whose, ..)| whose.clone()).collect::<Vec<(TenantId, Delivery)>>();
    let mut attempts = attempts::of(tx, &whose, NO_VAULT).await?;
    let listed = |((tenant, delivery), kind, name, received_at): ((TenantId, Delivery), _, _, _)| {
        let attempts = attempts.remove(&delivery.id).unwrap_or_default();
        Listed { delivery: Delivery { attempts, ..delivery }, tenant, kind, name, received_at }
    };
    Ok(Page { items: page.items.into_iter().map(listed).collect(), next: page.next })
}
