//! Sealing anew what an older key sealed.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::installation::CredentialKind;
use tautline_core::keeping::{ResealCursor, Resealed};
use tautline_core::{DeliveryId, EndpointId, InstallationId, MessageId, Place, RequestId, TenantId, Vault};
use uuid::Uuid;

use super::database::{Sql, Tx, sql};
use super::failure::Work;
use super::{installations, value};
use crate::limits::RESEAL_PART;
use crate::sealed;

/// The tables in the order in which they are gone through.
const TABLES: u8 = 6;

/// Looks at a part of one table; of the credentials, at one tenant's.
pub(super) async fn part(tx: &mut Tx, vault: &dyn Vault, from: &ResealCursor) -> Work<Resealed> {
    let mut walk = Walk { tx, vault, part: Resealed::default() };
    let last = match from.table {
        0 => walk.credentials(&String::from_utf8_lossy(&from.row)).await?,
        1 => walk.requests(uuid(&from.row)).await?,
        2 => walk.attempts(&from.row).await?,
        3 => walk.messages(uuid(&from.row)).await?,
        4 => walk.endpoints(uuid(&from.row)).await?,
        5 => walk.parked(uuid(&from.row)).await?,
        _ => None,
    };
    let mut part = walk.part;
    let next = match last {
        Some(row) => ResealCursor { table: from.table, row },
        None => ResealCursor { table: from.table.saturating_add(1), row: Vec::new() },
    };
    part.next = Some(next).filter(|next| next.table < TABLES);
    Ok(part)
}

fn uuid(row: &[u8]) -> Uuid {
    Uuid::from_slice(row).unwrap_or_default()
}

struct Walk<'a> {
    tx: &'a mut Tx,
    vault: &'a dyn Vault,
    part: Resealed,
}

impl Walk<'_> {
    /// Writes a value anew if it must be. What changed since is left: whoever changed it sealed it.
    async fn value(&mut self, place: Place<'_>, name: &str, before: Vec<u8>, update: Sql) -> Work<()> {
        match sealed::anew(self.vault, place, &before) {
            Ok(None) => {}
            Ok(Some(anew)) => self.part.resealed += self.tx.execute(update.bind(before).bind(anew)).await?,
            Err(error) => self.part.failed.push(format!("{} {name}: {error}", place.table)),
        }
        Ok(())
    }

    async fn credentials(&mut self, last: &str) -> Work<Option<Vec<u8>>> {
        let next = sql("SELECT id FROM tenants WHERE id > $1 ORDER BY id LIMIT 1").bind(last.to_owned());
        let Some(tenant) = self.tx.maybe(next, |row| value::parsed::<TenantId>(row, "id")).await? else {
            return Ok(None);
        };
        self.part.looked_at += 1;
        if installations::enter(self.tx, &tenant, false).await? {
            let found =
                sql("SELECT installation_id, kind, sealed_token, sealed_refresh_token FROM credentials");
            for (installation, kind, token, refresh) in self.tx.all(found, credential).await? {
                let (row, name) =
                    (sealed::credential_row(installation, kind), format!("{installation} of {tenant}"));
                let of = |update| sql(update).bind(value::uuid(installation.as_bytes())).bind(kind.as_str());
                let update = of("UPDATE credentials SET sealed_token = $4
                                 WHERE installation_id = $1 AND kind = $2 AND sealed_token = $3");
                self.value(sealed::token(&tenant, &row, "token"), &name, token, update).await?;
                let update = of("UPDATE credentials SET sealed_refresh_token = $4
                                 WHERE installation_id = $1 AND kind = $2 AND sealed_refresh_token = $3");
                if let Some(refresh) = refresh {
                    self.value(sealed::token(&tenant, &row, "refresh_token"), &name, refresh, update).await?;
                }
            }
        }
        Ok(Some(tenant.as_str().as_bytes().to_vec()))
    }

    async fn requests(&mut self, last: Uuid) -> Work<Option<Vec<u8>>> {
        let found = sql("SELECT id, tenant_id, sealed_body FROM inbox WHERE id > $1 ORDER BY id LIMIT $2");
        let found = self.tx.all(found.bind(last).bind(RESEAL_PART), |row| {
            let id = RequestId::from_bytes(value::id(row, "id")?);
            Ok((id, value::tenant_opt(row, "tenant_id")?, row.try_get::<Vec<u8>, _>("sealed_body")?))
        });
        let found = found.await?;
        let last = found.last().map(|(id, ..)| id.as_bytes().to_vec());
        self.part.looked_at += found.len() as u64;
        for (id, tenant, before) in found {
            let update = sql("UPDATE inbox SET sealed_body = $3 WHERE id = $1 AND sealed_body = $2");
            let update = update.bind(value::uuid(id.as_bytes()));
            self.value(sealed::body(tenant.as_ref(), &id), &id.to_string(), before, update).await?;
        }
        Ok(last)
    }

    async fn attempts(&mut self, last: &[u8]) -> Work<Option<Vec<u8>>> {
        let (delivery, number) = last.split_at_checked(16).unwrap_or_default();
        let number = number.try_into().map_or(0, u32::from_be_bytes);
        let found = sql("SELECT delivery_id, number, tenant_id, sealed_answer FROM attempts
                         WHERE (delivery_id, number) > ($1, $2) ORDER BY delivery_id, number LIMIT $3")
        .bind(uuid(delivery))
        .bind(i64::from(number))
        .bind(RESEAL_PART);
        let found = self.tx.all(found, |row| {
            let id = DeliveryId::from_bytes(value::id(row, "delivery_id")?);
            let number: u32 = value::number(row, "number")?;
            let tenant: TenantId = value::parsed(row, "tenant_id")?;
            Ok((id, number, tenant, row.try_get::<Option<Vec<u8>>, _>("sealed_answer")?))
        });
        let found = found.await?;
        let last = found.last().map(|(id, number, ..)| sealed::attempt_row(*id, *number));
        self.part.looked_at += found.len() as u64;
        for (id, number, tenant, before) in found {
            let Some(before) = before else { continue };
            let row = sealed::attempt_row(id, number);
            let update = sql("UPDATE attempts SET sealed_answer = $4
                              WHERE delivery_id = $1 AND number = $2 AND sealed_answer = $3");
            let update = update.bind(value::uuid(id.as_bytes())).bind(i64::from(number));
            self.value(sealed::answer(&tenant, &row), &id.to_string(), before, update).await?;
        }
        Ok(last)
    }

    async fn endpoints(&mut self, last: Uuid) -> Work<Option<Vec<u8>>> {
        let found = sql("SELECT id, sealed_secret, sealed_secret_before FROM endpoints
                         WHERE id > $1 ORDER BY id LIMIT $2");
        let found = self.tx.all(found.bind(last).bind(RESEAL_PART), |row| {
            let id = EndpointId::from_bytes(value::id(row, "id")?);
            let secret = row.try_get::<Option<Vec<u8>>, _>("sealed_secret")?;
            Ok((id, secret, row.try_get::<Option<Vec<u8>>, _>("sealed_secret_before")?))
        });
        let found = found.await?;
        let last = found.last().map(|(id, ..)| id.as_bytes().to_vec());
        self.part.looked_at += found.len() as u64;
        for (id, secret, before) in found {
            let (name, row) = (id.to_string(), value::uuid(id.as_bytes()));
            if let Some(secret) = secret {
                let update = "UPDATE endpoints SET sealed_secret = $3 WHERE id = $1 AND sealed_secret = $2";
                self.value(sealed::endpoint_secret(&id), &name, secret, sql(update).bind(row)).await?;
            }
            if let Some(before) = before {
                let update = "UPDATE endpoints SET sealed_secret_before = $3
                              WHERE id = $1 AND sealed_secret_before = $2";
                self.value(sealed::endpoint_secret_before(&id), &name, before, sql(update).bind(row)).await?;
            }
        }
        Ok(last)
    }

    async fn parked(&mut self, last: Uuid) -> Work<Option<Vec<u8>>> {
        let found = sql("SELECT id, sealed FROM parked_installs WHERE id > $1 ORDER BY id LIMIT $2");
        let found = self.tx.all(found.bind(last).bind(RESEAL_PART), |row| {
            let id = InstallationId::from_bytes(value::id(row, "id")?);
            Ok((id, row.try_get::<Vec<u8>, _>("sealed")?))
        });
        let found = found.await?;
        let last = found.last().map(|(id, _)| id.as_bytes().to_vec());
        self.part.looked_at += found.len() as u64;
        for (id, before) in found {
            let update = sql("UPDATE parked_installs SET sealed = $3 WHERE id = $1 AND sealed = $2");
            let update = update.bind(value::uuid(id.as_bytes()));
            self.value(sealed::parked(&id), &id.to_string(), before, update).await?;
        }
        Ok(last)
    }

    async fn messages(&mut self, last: Uuid) -> Work<Option<Vec<u8>>> {
        let found =
            sql("SELECT id, tenant_id, sealed_arguments FROM messages WHERE id > $1 ORDER BY id LIMIT $2");
        let found = self.tx.all(found.bind(last).bind(RESEAL_PART), |row| {
            let id = MessageId::from_bytes(value::id(row, "id")?);
            let tenant: TenantId = value::parsed(row, "tenant_id")?;
            Ok((id, tenant, row.try_get::<Vec<u8>, _>("sealed_arguments")?))
        });
        let found = found.await?;
        let last = found.last().map(|(id, ..)| id.as_bytes().to_vec());
        self.part.looked_at += found.len() as u64;
        for (id, tenant, before) in found {
            let update =
                sql("UPDATE messages SET sealed_arguments = $3 WHERE id = $1 AND sealed_arguments = $2");
            let update = update.bind(value::uuid(id.as_bytes()));
            self.value(sealed::arguments(&tenant, &id), &id.to_string(), before, update).await?;
        }
        Ok(last)
    }
}

type Credential = (InstallationId, CredentialKind, Vec<u8>, Option<Vec<u8>>);

fn credential(row: &PgRow) -> sqlx::Result<Credential> {
    Ok((
        InstallationId::from_bytes(value::id(row, "installation_id")?),
        value::named(row, "kind", CredentialKind::from_name)?,
        row.try_get("sealed_token")?,
        row.try_get("sealed_refresh_token")?,
    ))
}
