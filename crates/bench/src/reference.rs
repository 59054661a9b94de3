//! The servers of our own making that ours is compared with.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use rusqlite::{Connection, TransactionBehavior, params};
use tautline_slack::signing::SigningSecret;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::ground::{ENDPOINT, INSTALLATION, PATH, SIGNING_SECRET, TENANT, now_us};

/// The gateway's own rule.
const BATCH: usize = 1024;

type Job = (Bytes, oneshot::Sender<()>);

/// Serves on one thread: the machine gives it one core. With a file, a second thread writes it.
pub(crate) fn serve(port: u16, store: Option<&Path>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let app = match store {
        Some(path) => Router::new().route(PATH, post(store_it)).with_state(writer(path)?),
        None => {
            let secret = SigningSecret::new(SIGNING_SECRET).expect("not empty");
            Router::new().route(PATH, post(check_it)).with_state(Arc::new(secret))
        }
    };
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        println!("serving");
        Ok(axum::serve(listener, app).await?)
    })
}

async fn check_it(State(secret): State<Arc<SigningSecret>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let at = text("x-slack-request-timestamp").and_then(|at| at.parse::<i64>().ok());
    match (at, text("x-slack-signature")) {
        (Some(at), Some(signature)) if secret.sign(at, &body) == signature => StatusCode::OK,
        _ => StatusCode::UNAUTHORIZED,
    }
}

async fn store_it(State(queue): State<mpsc::Sender<Job>>, body: Bytes) -> StatusCode {
    let (done, stored) = oneshot::channel();
    match queue.send((body, done)) {
        Ok(()) if stored.await.is_ok() => StatusCode::OK,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn writer(path: &Path) -> Result<mpsc::Sender<Job>> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let (queue, jobs) = mpsc::channel::<Job>();
    thread::spawn(move || {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            if write(&mut connection, &batch).is_ok() {
                for (_, done) in batch {
                    let _ = done.send(());
                }
            }
        }
    });
    Ok(queue)
}

/// The three rows that the gateway writes for an event with one endpoint.
fn write(connection: &mut Connection, batch: &[Job]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (body, _) in batch {
        let now = now_us();
        let id = |now: i64| {
            let millis = u64::try_from(now / 1000).unwrap_or(0);
            *uuid::Builder::from_unix_timestamp_millis(
                millis,
                &fastrand::u128(..).to_le_bytes()[..10].try_into().expect("ten"),
            )
            .into_uuid()
            .as_bytes()
        };
        let (request, delivery): ([u8; 16], [u8; 16]) = (id(now), id(now));
        // Keys that grow with time, as the gateway's do.
        let mut key = [0; 32];
        key[..8].copy_from_slice(&now.to_be_bytes());
        fastrand::fill(&mut key[12..]);
        transaction
            .prepare_cached("INSERT INTO seen (key, seen_at) VALUES (?, ?) ON CONFLICT DO NOTHING")?
            .execute(params![key, now])?;
        transaction
            .prepare_cached(
                "INSERT INTO inbox (id, tenant_id, installation_id, kind, name, slack_id, team_id, received_at,
                   expires_at, content_type, sealed_body, answer)
                 VALUES (?, ?, ?, 'event', 'app_mention', ?, 'T0000000', ?, ?, 'application/json', ?, 'not_held')",
            )?
            .execute(params![request, TENANT, INSTALLATION, Uuid::from_bytes(delivery).simple().to_string(), now, now, body.as_ref()])?;
        transaction
            .prepare_cached(
                "INSERT INTO deliveries (id, tenant_id, request_id, endpoint_id, answers, state, attempt, next_at,
                   leased_until, expires_at) VALUES (?, ?, ?, ?, 1, 'ready', 0, ?, NULL, ?)",
            )?
            .execute(params![delivery, TENANT, request, ENDPOINT, now, now])?;
    }
    transaction.commit()
}
