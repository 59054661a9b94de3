//! An installation goes from one tenant to another.

use rusqlite::{Connection, OptionalExtension, params};
use tautline_core::installation::{Credential, CredentialKind, Installed, Moved, NewInstallation};
use tautline_core::{InstallationId, TenantId, Timestamp, Vault};

use super::failure::{Work, unavailable};
use super::installations::{self, installation_columns, put};
use super::value;
use crate::sealed;

pub(super) fn to(
    connection: &Connection,
    vault: &dyn Vault,
    id: InstallationId,
    to: &TenantId,
    new_id: InstallationId,
    now: Timestamp,
) -> Work<Moved> {
    let found = connection
        .prepare_cached(concat!(
            "SELECT ",
            installation_columns!(),
            " FROM installations WHERE id = ? AND (removed_at IS NULL OR removed_at < updated_at)"
        ))?
        .query_row([id.as_bytes()], installations::read)
        .optional()?;
    let Some(found) = found else { return Ok(Moved::Unknown) };
    if found.tenant == *to {
        return Ok(Moved::Already);
    }
    if found.tenant.is_home() {
        return Ok(Moved::OfHome);
    }
    let credentials = credentials(connection, vault, &found.tenant, id)?;
    installations::forget_all_of(connection, id.as_bytes())?;
    connection.prepare_cached("DELETE FROM installations WHERE id = ?")?.execute([id.as_bytes()])?;
    let key = found.facts.key().map_err(unavailable)?.to_string();
    let new = NewInstallation {
        id: new_id,
        tenant: to.clone(),
        facts: found.facts,
        credentials,
        link: None,
        is_shared: false,
    };
    let Installed::Done(installation) = put(connection, vault, &key, &new, now)? else {
        return Err(unavailable("somebody else has the workspace").into());
    };
    connection
        .prepare_cached("UPDATE installations SET health = ?, granted_teams = ? WHERE id = ?")?
        .execute(params![
            found.health.as_str(),
            crate::columns::teams_after(None, &found.granted_teams, &[]),
            installation.id.as_bytes()
        ])?;
    let installation = Box::new(tautline_core::installation::Installation {
        health: found.health,
        granted_teams: found.granted_teams,
        ..*installation
    });
    Ok(Moved::Done { from: found.tenant, installation })
}

fn credentials(
    connection: &Connection,
    vault: &dyn Vault,
    tenant: &TenantId,
    id: InstallationId,
) -> Work<Vec<Credential>> {
    let mut find = connection.prepare_cached(
        "SELECT kind, sealed_token, sealed_refresh_token, expires_at FROM credentials
         WHERE tenant_id = ? AND installation_id = ?",
    )?;
    let sealed = find.query_map(params![tenant.as_str(), id.as_bytes()], |row| {
        let kind = value::named(row, "kind", CredentialKind::from_name)?;
        let (token, refresh_token) =
            (row.get::<_, Vec<u8>>("sealed_token")?, row.get::<_, Option<Vec<u8>>>("sealed_refresh_token")?);
        Ok((kind, token, refresh_token, value::time_opt(row, "expires_at")?))
    })?;
    let mut opened = Vec::new();
    for sealed in sealed {
        let (kind, token, refresh_token, expires_at) = sealed?;
        let rests = (token.as_slice(), refresh_token.as_deref());
        opened.push(sealed::open_credential(vault, tenant, id, kind, rests, expires_at)?);
    }
    Ok(opened)
}
