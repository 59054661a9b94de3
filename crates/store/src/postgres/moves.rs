//! An installation goes from one tenant to another.

use sqlx::Row as _;
use tautline_core::installation::{
    Credential, CredentialKind, Installation, Installed, Moved, NewInstallation,
};
use tautline_core::{InstallationId, TenantId, Timestamp, Vault};

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::{Work, unavailable};
use super::installations::{self, enter, installation_columns, put};
use super::value;
use crate::sealed;

pub(super) async fn to(
    tx: &mut Tx,
    clock: &DatabaseClock,
    vault: &dyn Vault,
    id: InstallationId,
    to: &TenantId,
    new_id: InstallationId,
    now: Timestamp,
) -> Work<Moved> {
    let row = value::uuid(id.as_bytes());
    // First the lock that connecting takes first.
    let key = sql("SELECT install_key FROM installations WHERE id = $1").bind(row);
    let Some(key) = tx.maybe(key, |row| value::read_text(row, "install_key")).await? else {
        return Ok(Moved::Unknown);
    };
    tx.execute(sql("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))").bind(value::text(&key))).await?;
    let found = sql(concat!(
        "SELECT ",
        installation_columns!(),
        " FROM installations WHERE id = $1 AND (removed_at IS NULL OR removed_at < updated_at) FOR UPDATE"
    ));
    let Some(found) = tx.maybe(found.bind(row), installations::read).await? else {
        return Ok(Moved::Unknown);
    };
    if found.tenant == *to {
        return Ok(Moved::Already);
    }
    if found.tenant.is_home() {
        return Ok(Moved::OfHome);
    }
    installations::forget_all_of(tx, row).await?;
    let credentials = take_credentials(tx, vault, &found.tenant, id).await?;
    tx.execute(sql("DELETE FROM installations WHERE id = $1").bind(row)).await?;
    let new = NewInstallation {
        id: new_id,
        tenant: to.clone(),
        facts: found.facts,
        credentials,
        link: None,
        is_shared: false,
    };
    let Installed::Done(installation) = put(tx, clock, vault, &key, &new, now).await? else {
        return Err(unavailable("somebody else has the workspace").into());
    };
    let as_before = sql("UPDATE installations SET health = $1, granted_teams = $2 WHERE id = $3")
        .bind(found.health.as_str())
        .bind(crate::columns::teams_after(None, &found.granted_teams, &[]))
        .bind(value::uuid(installation.id.as_bytes()));
    tx.execute(as_before).await?;
    let installation =
        Installation { health: found.health, granted_teams: found.granted_teams, ..*installation };
    Ok(Moved::Done { from: found.tenant, installation: Box::new(installation) })
}

async fn take_credentials(
    tx: &mut Tx,
    vault: &dyn Vault,
    tenant: &TenantId,
    id: InstallationId,
) -> Work<Vec<Credential>> {
    if !enter(tx, tenant, false).await? {
        return Ok(Vec::new());
    }
    let take = sql("DELETE FROM credentials WHERE installation_id = $1
                    RETURNING kind, sealed_token, sealed_refresh_token, expires_at")
    .bind(value::uuid(id.as_bytes()));
    let taken = tx.all(take, |row| {
        let kind = value::named(row, "kind", CredentialKind::from_name)?;
        let token = row.try_get::<Vec<u8>, _>("sealed_token")?;
        let refresh_token = row.try_get::<Option<Vec<u8>>, _>("sealed_refresh_token")?;
        Ok((kind, token, refresh_token, value::time_opt(row, "expires_at")?))
    });
    let mut opened = Vec::new();
    for (kind, token, refresh_token, expires_at) in taken.await? {
        let rests = (token.as_slice(), refresh_token.as_deref());
        opened.push(sealed::open_credential(vault, tenant, id, kind, rests, expires_at)?);
    }
    Ok(opened)
}
