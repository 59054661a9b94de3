//! Installations that are looked up for many at once: by what Slack names, and as a tenant's only one.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::TenantId;
use tautline_core::installation::{Installation, Only};
use tautline_slack::request::Origin;

use super::database::{Tx, sql};
use super::failure::Work;
use super::group::Together;
use super::installations::{installation_columns, read};
use super::value;

/// Finding the installations that Slack names, for many requests in one query.
pub(super) struct Naming;

impl Together for Naming {
    type Item = Origin;
    type Outcome = Option<Installation>;

    async fn run(&self, tx: &mut Tx, origins: &[Arc<Origin>]) -> Work<Vec<Option<Installation>>> {
        let mut places =
            origins.iter().flat_map(|origin| origin.places()).map(value::text).collect::<Vec<_>>();
        places.sort_unstable();
        places.dedup();
        let found = sql(concat!(
            "SELECT ",
            installation_columns!(),
            ", coalesce(removed_at >= updated_at, false) AS is_removed FROM installations WHERE place = ANY($1)"
        ));
        let mut at = At::new();
        let placed =
            |row: &PgRow| Ok(((value::read_text(row, "place")?, row.try_get("is_removed")?), read(row)?));
        for (place, installation) in tx.all(found.bind(places), placed).await? {
            at.entry(place).or_default().push(installation);
        }
        Ok(origins.iter().map(|origin| choose(origin, &at)).collect())
    }
}

/// Installations by their place, and whether they ended.
type At = HashMap<(String, bool), Vec<Installation>>;

/// Some legacy payloads name no app. Then the place must have one installation, not one of several. Those that ended
/// come last: they hide none that lives.
fn choose(origin: &Origin, at: &At) -> Option<Installation> {
    let fits = |found: &&Installation| origin.app.as_ref().is_none_or(|app| *app == found.facts.app);
    let the_one = |place: &str, is_removed| {
        let mut fitting = at.get(&(place.to_owned(), is_removed))?.iter().filter(fits);
        let first = fitting.next().filter(|found| found.is_meant_by(origin))?;
        fitting.next().is_none().then(|| first.clone())
    };
    [false, true]
        .into_iter()
        .find_map(|is_removed| origin.places().into_iter().find_map(|place| the_one(place, is_removed)))
}

/// The only installation of each tenant.
pub(super) struct OnlyOnes;

impl Together for OnlyOnes {
    type Item = TenantId;
    type Outcome = Only;
    const READS: bool = true;

    async fn run(&self, tx: &mut Tx, tenants: &[Arc<TenantId>]) -> Work<Vec<Only>> {
        let found = sql(concat!(
            "SELECT two.* FROM unnest($1::text[]) AS asked (tenant) CROSS JOIN LATERAL (SELECT ",
            installation_columns!(),
            " FROM installations WHERE tenant_id = asked.tenant AND (removed_at IS NULL OR removed_at < updated_at)
               ORDER BY id DESC LIMIT 2) AS two"
        ));
        let mut of = HashMap::<TenantId, Vec<Installation>>::new();
        for installation in tx.all(found.bind(value::distinct(tenants)), read).await? {
            of.entry(installation.tenant.clone()).or_default().push(installation);
        }
        Ok(tenants
            .iter()
            .map(|tenant| Only::of(of.get(tenant.as_ref()).into_iter().flatten().cloned()))
            .collect())
    }
}
