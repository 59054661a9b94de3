//! Migrations: from every earlier version, and an old binary beside a new one.

use rusqlite::Connection;
use tautline_core::inbox::{RequestFilter, Whose};
use tautline_core::{Store, TenantId};
use tautline_slack::request::Kind;
use tautline_store::SqliteStore;
use tautline_store::sqlite::SqliteOptions;
use tautline_testing::Cluster;
use tempfile::TempDir;

use crate::engine::{Engine, Ground, keyring, postgres_on};
use crate::scene::{NOW, Scene, page};

const SQLITE: [&str; 6] = [
    include_str!("../../src/sqlite/migrations/0001_the_line.sql"),
    include_str!("../../src/sqlite/migrations/0002_the_dashboard.sql"),
    include_str!("../../src/sqlite/migrations/0003_keeping.sql"),
    include_str!("../../src/sqlite/migrations/0004_the_front_door.sql"),
    include_str!("../../src/sqlite/migrations/0005_bad_days.sql"),
    include_str!("../../src/sqlite/migrations/0006_installations.sql"),
];
pub const POSTGRES: [&str; 6] = [
    include_str!("../../src/postgres/migrations/0001_the_line.sql"),
    include_str!("../../src/postgres/migrations/0002_the_dashboard.sql"),
    include_str!("../../src/postgres/migrations/0003_keeping.sql"),
    include_str!("../../src/postgres/migrations/0004_the_front_door.sql"),
    include_str!("../../src/postgres/migrations/0005_bad_days.sql"),
    include_str!("../../src/postgres/migrations/0006_installations.sql"),
];

/// A tenant and a request of its own, as every version kept them; the body does not open, as no key sealed it.
const ROWS: &str = "
    INSERT INTO tenants (id, name, created_at) VALUES ('old', 'Old & Co', 7);
    INSERT INTO inbox (id, tenant_id, kind, name, received_at, expires_at, sealed_body, answer)
      VALUES (ID, 'old', 'event', 'message', 7, 8, BODY, 'not_held');
    INSERT INTO endpoints (id, name, target, filters, tenants, active, created_at)
      VALUES (ID, 'app', 'in_process', '[\"command.deploy\"]', '[]', ACTIVE, 7);
    INSERT INTO deliveries (id, tenant_id, request_id, endpoint_id, answers, state, attempt, dead_reason, expires_at)
      VALUES (ID, 'old', ID, ID, ACTIVE, 'dead', 1, 'exhausted', 8);
    INSERT INTO attempts (delivery_id, number, tenant_id, started_at, outcome) VALUES (ID, 1, 'old', 7, 'interrupted');";

async fn sqlite_of(version: usize) -> Engine {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("tautline.db");
    let file = Connection::open(&path).unwrap();
    for migration in &SQLITE[..version] {
        file.execute_batch(migration).unwrap();
    }
    file.pragma_update(None, "user_version", version as i64).unwrap();
    let id = "x'01000000000000000000000000000001'";
    file.execute_batch(&ROWS.replace("ID", id).replace("BODY", "x'01'").replace("ACTIVE", "1")).unwrap();
    drop(file);
    let store =
        SqliteStore::open(SqliteOptions { path, holder: "a test".into(), commit_gate: None }, keyring())
            .unwrap();
    Engine { store: std::sync::Arc::new(store), ground: Ground::Sqlite(dir) }
}

async fn postgres_of(version: usize) -> Engine {
    let database = Cluster::shared().database();
    for migration in &POSTGRES[..version] {
        database.sql(migration);
    }
    let id = "'01000000-0000-0000-0000-000000000001'";
    database.sql(&ROWS.replace("ID", id).replace("BODY", r"'\x01'").replace("ACTIVE", "true"));
    database.sql(&format!(
        "CREATE TABLE schema_version (version bigint NOT NULL); INSERT INTO schema_version VALUES ({version})"
    ));
    let store = postgres_on(&database).await;
    Engine { store: std::sync::Arc::new(store), ground: Ground::Postgres(database) }
}

/// What was there is there, and everything works.
async fn works(engine: Engine) {
    let old: TenantId = "old".parse().unwrap();
    let tenant = engine.store.tenant(&old).await.unwrap().expect("it was there before");
    assert_eq!((tenant.name.as_deref(), tenant.created_at.as_micros()), (Some("Old & Co"), 7));
    let found =
        engine.store.requests(Whose::Tenant(&old), &RequestFilter::default(), page(9, None)).await.unwrap();
    assert_eq!(found.items.len(), 1);
    let deliveries = &found.items[0].deliveries;
    assert_eq!(
        (deliveries.len(), deliveries[0].attempts.len()),
        (1, 1),
        "and with them what belongs to them"
    );
    let kept = engine.store.endpoints().await.unwrap();
    assert_eq!(kept[0].endpoint.filters[0].to_string(), "command.deploy", "which is refused by now");
    let scene = Scene::on(engine).await;
    scene.accept(Kind::Event, "message").await;
    scene.store.message_accept(crate::outbox::new(&scene.acme, "C1", "x"), None).await.unwrap();
    scene.store.forget(NOW).await.unwrap();
}

#[tokio::test]
async fn every_earlier_version_is_brought_up_to_this_one() {
    for version in 1..=SQLITE.len() {
        works(sqlite_of(version).await).await;
        works(postgres_of(version).await).await;
    }
}

/// During an upgrade the schema is one ahead of the old binary: migrations expand first.
#[tokio::test]
async fn an_old_binary_works_beside_a_new_one() {
    let next = SQLITE.len() + 1;
    let Engine { store, ground } = sqlite_of(SQLITE.len()).await;
    drop(store);
    let path = ground.dir().join("tautline.db");
    let newer = Connection::open(&path).unwrap();
    newer.execute_batch("ALTER TABLE inbox ADD COLUMN something_new TEXT").unwrap();
    newer.pragma_update(None, "user_version", next as i64).unwrap();
    drop(newer);
    let store =
        SqliteStore::open(SqliteOptions { path, holder: "a test".into(), commit_gate: None }, keyring())
            .unwrap();
    works(Engine { store: std::sync::Arc::new(store), ground }).await;

    let engine = postgres_of(POSTGRES.len()).await;
    let Ground::Postgres(database) = &engine.ground else { unreachable!() };
    // A newer replica comes while this one runs, and another of this version starts after it.
    database.sql(&format!(
        "ALTER TABLE inbox ADD COLUMN something_new text; UPDATE schema_version SET version = {next}"
    ));
    let later = postgres_on(database).await;
    works(engine).await;
    let scene_store: &dyn Store = &later;
    assert!(scene_store.readiness(NOW).await.unwrap().engine.ends_with(&format!("schema {next}")));
}
