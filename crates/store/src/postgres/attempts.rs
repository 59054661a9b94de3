//! The attempts of deliveries, as they are looked at, with the endpoint's answers opened.

use std::collections::HashMap;

use bytes::Bytes;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::delivery::{Attempt, Delivery};
use tautline_core::{DeliveryId, TenantId, Vault};

use super::database::{Tx, sql};
use super::failure::Work;
use super::value;
use crate::{columns, sealed};

/// The attempts of some deliveries; the answers' bodies only with a vault.
pub(super) async fn of(
    tx: &mut Tx,
    deliveries: &[(TenantId, Delivery)],
    vault: Option<&dyn Vault>,
) -> Work<HashMap<DeliveryId, Vec<Attempt>>> {
    let ids = deliveries.iter().map(|(_, delivery)| value::uuid(delivery.id.as_bytes())).collect::<Vec<_>>();
    let found =
        sql("SELECT delivery_id, number, tenant_id, started_at, duration_us, outcome, status, content_type,
                       sealed_answer, error FROM attempts WHERE delivery_id = ANY($1) ORDER BY number")
        .bind(ids);
    let mut by_delivery = HashMap::<DeliveryId, Vec<Attempt>>::new();
    for (tenant, delivery, attempt, result) in tx.all(found, read).await? {
        let body = match (vault, &result.sealed_answer) {
            (Some(vault), Some(sealed)) => {
                sealed::open_answer(vault, &tenant, delivery, attempt.number, sealed)?
            }
            _ => Bytes::new(),
        };
        by_delivery.entry(delivery).or_default().push(Attempt { result: result.open(body), ..attempt });
    }
    Ok(by_delivery)
}

fn read(row: &PgRow) -> sqlx::Result<(TenantId, DeliveryId, Attempt, columns::Result)> {
    let status: Option<i64> = row.try_get("status")?;
    let attempt = Attempt {
        number: value::number(row, "number")?,
        started_at: value::time(row, "started_at")?,
        duration: value::duration_opt(row, "duration_us")?,
        result: None,
    };
    let result = columns::Result {
        outcome: value::read_text(row, "outcome")?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        content_type: value::read_text_opt(row, "content_type")?,
        sealed_answer: row.try_get("sealed_answer")?,
        error: value::read_text_opt(row, "error")?,
    };
    Ok((
        value::parsed(row, "tenant_id")?,
        DeliveryId::from_bytes(value::id(row, "delivery_id")?),
        attempt,
        result,
    ))
}
