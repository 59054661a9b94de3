//! How installations do.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};
use tautline_core::installation::CredentialKind;
use tautline_core::refresh::Rotation;
use tautline_core::standing::{Standing, TokenStanding};
use tautline_core::{InstallationId, TenantId, Timestamp, limits};

use super::value;

pub(super) fn of(
    connection: &Connection,
    tenant: &TenantId,
    installations: &[InstallationId],
) -> rusqlite::Result<Vec<Standing>> {
    let last_events = connection
        .prepare_cached(
            "SELECT installation_id, max(received_at) FROM (
               SELECT installation_id, received_at FROM inbox WHERE tenant_id = ? ORDER BY id DESC LIMIT ?)
             WHERE installation_id IS NOT NULL GROUP BY 1",
        )?
        .query_map(params![tenant.as_str(), limits::LAST_EVENT_SEEN], |row| {
            Ok((value::id(row, 0)?, Timestamp::from_micros(row.get(1)?)))
        })?
        .collect::<rusqlite::Result<HashMap<[u8; 16], Timestamp>>>()?;
    let mut tokens = connection.prepare_cached(
        "SELECT r.kind, r.rotation, r.error, c.expires_at FROM refreshes r JOIN credentials c
           ON c.tenant_id = r.tenant_id AND c.installation_id = r.installation_id AND c.kind = r.kind
         WHERE r.tenant_id = ? AND r.installation_id = ? ORDER BY r.kind",
    )?;
    let mut error = connection.prepare_cached(
        "SELECT last_error, last_error_at FROM installations WHERE tenant_id = ? AND id = ? AND last_error IS NOT NULL",
    )?;
    let standing = |id: &InstallationId| {
        let of = params![tenant.as_str(), id.as_bytes()];
        let tokens = tokens.query_map(of, |row| {
            Ok(TokenStanding {
                kind: value::named(row, "kind", CredentialKind::from_name)?,
                rotation: value::named(row, "rotation", Rotation::from_name)?,
                expires_at: value::time_opt(row, "expires_at")?,
                error: row.get("error")?,
            })
        })?;
        Ok(Standing {
            tokens: tokens.collect::<rusqlite::Result<_>>()?,
            last_event_at: last_events.get(id.as_bytes()).copied(),
            last_error: error
                .query_row(of, |row| Ok((row.get("last_error")?, value::time(row, "last_error_at")?)))
                .optional()?,
        })
    };
    installations.iter().map(standing).collect()
}
