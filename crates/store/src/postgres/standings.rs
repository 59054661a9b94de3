//! How installations do.

use std::collections::HashMap;

use sqlx::Row as _;
use tautline_core::installation::CredentialKind;
use tautline_core::refresh::Rotation;
use tautline_core::standing::{Standing, TokenStanding};
use tautline_core::{InstallationId, TenantId, limits};
use uuid::Uuid;

use super::database::{Tx, sql};
use super::failure::Work;
use super::installations::enter;
use super::value;

pub(super) async fn of(
    tx: &mut Tx,
    tenant: &TenantId,
    installations: &[InstallationId],
) -> Work<Vec<Standing>> {
    let ids = installations.iter().map(|id| value::uuid(id.as_bytes())).collect::<Vec<_>>();
    let mut standings = ids.iter().map(|id| (*id, Standing::default())).collect::<HashMap<_, _>>();
    let last = sql("SELECT installation_id, max(received_at) AS received_at FROM (
                      SELECT installation_id, received_at FROM inbox WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2) AS l
                    WHERE installation_id = ANY($3) GROUP BY 1")
    .bind(tenant.to_string())
    .bind(i64::from(limits::LAST_EVENT_SEEN))
    .bind(ids.clone());
    let last = tx
        .all(last, |row| Ok((row.try_get::<Uuid, _>("installation_id")?, value::time(row, "received_at")?)));
    for (id, at) in last.await? {
        standings.entry(id).or_default().last_event_at = Some(at);
    }
    let errors = sql("SELECT id, last_error, last_error_at FROM installations
                      WHERE tenant_id = $1 AND id = ANY($2) AND last_error IS NOT NULL")
    .bind(tenant.to_string())
    .bind(ids.clone());
    let errors = tx.all(errors, |row| {
        let said = (value::read_text(row, "last_error")?, value::time(row, "last_error_at")?);
        Ok((row.try_get::<Uuid, _>("id")?, said))
    });
    for (id, said) in errors.await? {
        standings.entry(id).or_default().last_error = Some(said);
    }
    if enter(tx, tenant, false).await? {
        let tokens = sql("SELECT r.installation_id, r.kind, r.rotation, r.error, c.expires_at
                          FROM refreshes r JOIN credentials c
                            ON c.installation_id = r.installation_id AND c.kind = r.kind
                          WHERE r.tenant_id = $1 AND r.installation_id = ANY($2) ORDER BY r.kind")
        .bind(tenant.to_string())
        .bind(ids.clone());
        let tokens = tx.all(tokens, |row| {
            let token = TokenStanding {
                kind: value::named(row, "kind", CredentialKind::from_name)?,
                rotation: value::named(row, "rotation", Rotation::from_name)?,
                expires_at: value::time_opt(row, "expires_at")?,
                error: value::read_text_opt(row, "error")?,
            };
            Ok((row.try_get::<Uuid, _>("installation_id")?, token))
        });
        for (id, token) in tokens.await? {
            standings.entry(id).or_default().tokens.push(token);
        }
    }
    Ok(ids.iter().map(|id| standings.remove(id).unwrap_or_default()).collect())
}
