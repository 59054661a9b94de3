//! What is PostgreSQL's own: several replicas, a pooler between, a database that goes away, tenants' schemas.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use tautline_core::access::{ApiKey, Scope};
use tautline_core::delivery::Reap;
use tautline_core::inbox::{Accepted, Whose};
use tautline_core::installation::{CredentialKind, Installed, NewInstallation};
use tautline_core::{Clock, KeyId, SecretHash, Store, StoreError, SystemRng, TenantId, Timestamp, limits};
use tautline_slack::request::Kind;
use tautline_store::PostgresStore;
use tautline_store::postgres::{OpenError, PostgresOptions};
use tautline_testing::{Cluster, Database, Pooler};

use crate::engine::{Engine, Ground, keyring, postgres, postgres_on};
use crate::installations::new;
use crate::scene::{NOW, Scene, later, places};

async fn open(url: String, clock: Option<Arc<dyn Clock>>) -> Result<PostgresStore, OpenError> {
    PostgresStore::open(PostgresOptions { url: url.into(), clock }, keyring()).await
}

fn install(tenant: &TenantId, team: &str) -> NewInstallation {
    new(tenant, "A1", Some(team), None, "xoxb-1")
}

async fn two_replicas() -> (Scene, Arc<dyn Store>, Database) {
    let Engine { store, ground } = postgres().await;
    let Ground::Postgres(database) = ground else { unreachable!("it is PostgreSQL") };
    let other = Arc::new(postgres_on(&database).await);
    let scene = Scene::on(Engine { store, ground: Ground::Postgres(database.clone()) }).await;
    (scene, other, database)
}

#[tokio::test]
async fn the_running_settings_are_named() {
    let readiness = postgres().await.store.readiness(NOW).await.unwrap();
    assert!(readiness.engine.starts_with("PostgreSQL "), "{}", readiness.engine);
    assert!(readiness.engine.ends_with("schema 7"), "{}", readiness.engine);
    assert_eq!(readiness.durability, "fsync=off synchronous_commit=on full_page_writes=on");
}

#[tokio::test]
async fn a_commit_waits_for_the_disk_however_the_database_is_set() {
    let database = Cluster::shared().database();
    database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = off", database.name()));
    let readiness = postgres_on(&database).await.readiness(NOW).await.unwrap();
    assert!(readiness.durability.contains("synchronous_commit=on"), "{}", readiness.durability);
    // Where it waits for more than our disk, it goes on to.
    let database = Cluster::shared().database();
    database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = remote_apply", database.name()));
    let readiness = postgres_on(&database).await.readiness(NOW).await.unwrap();
    assert!(readiness.durability.contains("synchronous_commit=remote_apply"), "{}", readiness.durability);
}

#[tokio::test]
async fn credentials_rest_in_the_tenants_own_schema_and_nowhere_else() {
    let (scene, _, database) = two_replicas().await;
    let rooms = "SELECT string_agg(table_schema, ',' ORDER BY table_schema) FROM information_schema.tables
                 WHERE table_name = 'credentials'";
    assert_eq!(database.sql(rooms), "", "none before one is needed");
    let installed = |tenant, team| scene.store.installation_store(install(tenant, team), NOW);
    assert!(matches!(installed(&scene.acme, "T1").await.unwrap(), Installed::Done(_)));
    assert!(matches!(installed(&scene.globex, "T2").await.unwrap(), Installed::Done(_)));
    assert_eq!(database.sql(rooms), "tenant_acme,tenant_globex");
    assert_eq!(database.sql("SELECT count(*) FROM tenant_acme.credentials"), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_start_together_migrate_once() {
    let database = Cluster::shared().database();
    let starts = (0..6).map(|_| tokio::spawn(open(database.url(), None)));
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
    assert_eq!(database.sql("SELECT version FROM schema_version"), "7");
}

/// Somebody reads a table for long, a dump say. What waits for the table would have everybody else wait behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_waits_for_a_table_without_holding_up_those_who_use_it() {
    use sqlx::{Connection as _, Executor as _};
    let database = Cluster::shared().database();
    for migration in &crate::migrations::POSTGRES[..4] {
        database.sql(migration);
    }
    database
        .sql("CREATE TABLE schema_version (version bigint NOT NULL); INSERT INTO schema_version VALUES (4)");
    let mut dump = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    dump.execute("BEGIN; SELECT FROM deliveries; SELECT FROM endpoints").await.unwrap();
    let migrating = tokio::spawn(open(database.url(), None));
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE NOT l.granted AND d.datname = current_database()";
    while database.sql(waits) == "0" {
        assert!(!migrating.is_finished(), "it waits");
        tokio::task::yield_now().await;
    }
    // Longer than a migration waits at a time, and shorter than the dump lives.
    database.sql("SET lock_timeout = '20s'; DELETE FROM deliveries");
    assert!(!migrating.is_finished());
    dump.execute("COMMIT").await.unwrap();
    migrating.await.unwrap().unwrap();
    assert_eq!(database.sql("SELECT version FROM schema_version"), "7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_the_work() {
    let (scene, other, _) = two_replicas().await;
    for number in 0..100 {
        scene.accept(Kind::Event, &number.to_string()).await;
    }
    let takers = (0..10).map(|number| {
        let store = if number % 2 == 0 { scene.store.clone() } else { other.clone() };
        let free = [places(scene.endpoint, 12)];
        tokio::spawn(async move { store.delivery_lease(NOW, later(60), &free).await.unwrap() })
    });
    let mut taken = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        taken.extend(taker.await.unwrap().into_iter().map(|leased| leased.id));
    }
    taken.extend(
        other
            .delivery_lease(NOW, later(60), &[places(scene.endpoint, 200)])
            .await
            .unwrap()
            .into_iter()
            .map(|leased| leased.id),
    );
    let all = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!((all, taken.len()), (100, 100), "each delivery once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_at_two_replicas_is_stored_once() {
    let (scene, other, _) = two_replicas().await;
    for round in 0..20 {
        // Many keys in both orders: replicas that met them crosswise would wait for each other in a circle.
        let all = (0..40)
            .map(|number| scene.incoming(Some(&scene.acme), Kind::Event, &format!("{round}-{number}"), NOW));
        let all = all.collect::<Vec<_>>();
        let there = all.clone().into_iter().map(|incoming| (scene.store.clone(), incoming));
        let back = all.into_iter().rev().map(|incoming| {
            let again = scene.incoming(Some(&scene.acme), Kind::Event, "again", NOW);
            (other.clone(), tautline_core::inbox::Incoming { seen: incoming.seen, ..again })
        });
        let tries = there
            .chain(back)
            .map(|(store, incoming)| tokio::spawn(async move { store.request_accept(incoming).await }));
        let mut stored = 0;
        for tried in tries.collect::<Vec<_>>() {
            stored += usize::from(tried.await.unwrap().unwrap() == Accepted::Stored);
        }
        assert_eq!(stored, 40);
    }
}

/// A clock that is wrong by an hour.
struct Wrong;

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        tautline_core::SystemClock.now().after(Duration::from_secs(3600))
    }
}

#[tokio::test]
async fn a_replica_whose_clock_is_wrong_takes_no_lease_that_runs() {
    let (database, right) = (Cluster::shared().database(), Arc::new(tautline_core::SystemClock));
    let mine = open(database.url(), Some(right.clone())).await.unwrap();
    let theirs = open(database.url(), Some(Arc::new(Wrong))).await.unwrap();
    let scene = Scene::on(Engine { store: Arc::new(mine), ground: Ground::Postgres(database) }).await;
    let now = right.now();
    let incoming = scene.incoming(Some(&scene.acme), Kind::Event, "message", now);
    scene.store.request_accept(incoming).await.unwrap();
    let taken = scene
        .store
        .delivery_lease(now, now.after(limits::LEASE), &[places(scene.endpoint, 1)])
        .await
        .unwrap();
    assert_eq!(taken.len(), 1);
    use tautline_core::delivery::Deliveries as _;
    assert_eq!(
        theirs.delivery_reap(Wrong.now(), Reap::RunOut).await.unwrap().changed,
        0,
        "it is an hour later only there"
    );
    let after = Wrong.now().after(limits::LEASE);
    assert_eq!(
        theirs.delivery_reap(after, Reap::RunOut).await.unwrap().changed,
        1,
        "a lease later it is taken back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_behind_a_transaction_pooler() {
    let database = Cluster::shared().database();
    let pooler = Pooler::before(&database);
    let store = Arc::new(open(pooler.url(&database), None).await.unwrap());
    let scene = Scene::on(Engine { store, ground: Ground::Postgres(database) }).await;
    let tries = (0..40).map(|number| {
        let (store, acme) = (scene.store.clone(), scene.acme.clone());
        let incoming = scene.incoming(Some(&scene.acme), Kind::Event, &number.to_string(), NOW);
        let new = install(&scene.acme, &format!("T{number}"));
        tokio::spawn(async move {
            let id = incoming.request.id;
            assert_eq!(store.request_accept(incoming).await.unwrap(), Accepted::Stored);
            assert!(store.request(Whose::Tenant(&acme), id).await.unwrap().is_some());
            let Installed::Done(done) = store.installation_store(new, NOW).await.unwrap() else { panic!() };
            let token = store.installation_token(&acme, done.id, CredentialKind::Bot).await.unwrap();
            assert!(token.is_some(), "the search path reaches its own transaction and no other");
        })
    });
    for tried in tries.collect::<Vec<_>>() {
        tried.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_is_an_error_and_comes_back() {
    let cluster = Cluster::start(true);
    let database = cluster.database();
    let store = Arc::new(postgres_on(&database).await);
    let scene = Scene::on(Engine { store, ground: Ground::Postgres(database) }).await;
    let kept = scene.accept(Kind::Event, "before").await.request.id;
    cluster.crash();
    let lost = scene.incoming(Some(&scene.acme), Kind::Event, "meanwhile", NOW);
    let error = scene.store.request_accept(lost.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(scene.store.delivery_due(NOW, &[places(scene.endpoint, 1)]).await.is_err());
    cluster.start_again();
    // Connections that are dead are noticed one by one; then all is as before.
    let mut tries = 0;
    while scene.store.request_accept(lost.clone()).await.is_err() {
        tries += 1;
        assert!(tries < 20, "it never came back");
    }
    assert!(
        scene.store.request(Whose::Tenant(&scene.acme), kept).await.unwrap().is_some(),
        "what was acknowledged"
    );
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_no_outage_and_nobody_elses() {
    let (scene, _, database) = two_replicas().await;
    for secret in ["tl_0", "tl_1"] {
        let key = ApiKey {
            id: KeyId::generate(NOW, &SystemRng),
            tenant: None,
            scopes: vec![Scope::Read],
            created_at: NOW,
            expires_at: None,
            last_used_at: None,
        };
        scene.store.key_store(key, SecretHash::of(secret), None).await.unwrap();
    }
    database.sql(
        "UPDATE api_keys SET scopes = 'to fly' WHERE id = (SELECT id FROM api_keys ORDER BY id LIMIT 1)",
    );
    for _ in 0..10 {
        let found =
            tokio::join!(scene.store.key(SecretHash::of("tl_0")), scene.store.key(SecretHash::of("tl_1")));
        let (broken, whole) = if found.0.is_err() { found } else { (found.1, found.0) };
        assert!(matches!(broken, Err(StoreError::Corrupt(_))), "{broken:?}");
        assert!(whole.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named_without_its_password() {
    let said = |error: OpenError| {
        let mut said = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            said += &format!(": {cause}");
            source = cause.source();
        }
        said
    };
    let refused = said(open("postgres://user:hush@127.0.0.1:1/tautline".into(), None).await.err().unwrap());
    assert!(refused.contains("127.0.0.1:1/tautline") && !refused.contains("hush"), "{refused}");
    let unread = said(open("postgres://user:hush@host:port/x".into(), None).await.err().unwrap());
    assert!(unread.contains("expected postgres://") && !unread.contains("hush"), "{unread}");
    let database = Cluster::shared().database();
    postgres_on(&database).await;
    database.sql("UPDATE schema_version SET version = 99");
    let future = said(open(database.url(), None).await.err().unwrap());
    assert!(future.contains("schema 99") && future.contains("knows 7"), "{future}");
}

/// A transaction of somebody else's, as far as it has come.
async fn somebody(database: &Database, done: &'static str) -> sqlx::PgConnection {
    let mut other = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut other).await.unwrap();
    sqlx::raw_sql(done).execute(&mut other).await.unwrap();
    other
}

/// Looks on until the work waits for somebody's lock. It may not end before.
async fn waits<T>(working: &tokio::task::JoinHandle<T>, database: &Database) {
    let mut onlooker = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock')";
    while !sqlx::query_scalar::<_, bool>(waiting).fetch_one(&mut onlooker).await.unwrap() {
        assert!(!working.is_finished(), "it did not wait");
    }
}

async fn end(mut other: sqlx::PgConnection) {
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
}

#[tokio::test]
async fn what_comes_in_while_its_tenant_is_erased_is_refused() {
    let (scene, _, database) = two_replicas().await;
    let erasing = somebody(
        &database,
        "SELECT FROM tenants WHERE id = 'acme' FOR UPDATE; DELETE FROM tenants WHERE id = 'acme'",
    );
    let erasing = erasing.await;
    let (store, incoming) =
        (scene.store.clone(), scene.incoming(Some(&scene.acme), Kind::Event, "message", NOW));
    let accepting = tokio::spawn(async move { store.request_accept(incoming).await });
    waits(&accepting, &database).await;
    end(erasing).await;
    assert!(accepting.await.unwrap().is_err(), "there is no such tenant any more");
}

#[tokio::test]
async fn a_tenant_is_erased_with_what_was_just_coming_in() {
    let (scene, _, database) = two_replicas().await;
    let coming_in = "SELECT FROM tenants WHERE id = 'acme' FOR KEY SHARE;
        INSERT INTO inbox (id, tenant_id, kind, name, received_at, expires_at, sealed_body, answer)
          VALUES (gen_random_uuid(), 'acme', 'event', 'message', 1, 2, '', 'not_held')";
    let coming_in = somebody(&database, coming_in).await;
    let (store, acme) = (scene.store.clone(), scene.acme.clone());
    let erasing = tokio::spawn(async move { while !store.tenant_erase(&acme).await.unwrap().is_done {} });
    waits(&erasing, &database).await;
    end(coming_in).await;
    erasing.await.unwrap();
    let mut onlooker = sqlx::PgConnection::connect(&database.url()).await.unwrap();
    let left = "SELECT count(*) FROM inbox WHERE tenant_id = 'acme'";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&mut onlooker).await.unwrap(), 0);
}
