//! The generator: signed events, each its own, over connections that stay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tautline_slack::signing::SigningSecret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ground::{APP, PATH, SIGNING_SECRET, event_id, now_us, team};

/// What is asked, and of whom.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    pub(crate) tenants: usize,
}

impl Load {
    pub(crate) fn on(port: u16) -> Self {
        Self { port, path: PATH, connections: 256, tenants: 1 }
    }
}

/// What became of an open loop.
pub(crate) struct Latencies {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
}

impl Latencies {
    pub(crate) fn of(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self { median: took[took.len() / 2], p99: took[took.len() * 99 / 100] }
    }
}

/// The number of a request of [`Maker`]'s, read from its bytes; the first is 0.
pub(crate) fn number_in(request: &[u8]) -> Option<usize> {
    let at = request.windows(NUMBER_AFTER.len()).position(|part| part == NUMBER_AFTER)? + NUMBER_AFTER.len();
    usize::from_str_radix(std::str::from_utf8(request.get(at..at + 12)?).ok()?, 16).ok()
}

const NUMBER_AFTER: &[u8] = b"0f6b1e1c-3b52-4c7e-9a3f-";

/// Makes requests, none like another.
pub(crate) struct Maker {
    secret: SigningSecret,
    load: Load,
    number: AtomicU64,
    begun_us: i64,
}

impl Maker {
    pub(crate) fn new(load: &Load) -> Self {
        let secret = SigningSecret::new(SIGNING_SECRET).expect("not empty");
        Self { secret, load: load.clone(), number: AtomicU64::new(0), begun_us: now_us() }
    }

    /// A mention as Slack sends it, of about a kilobyte.
    pub(crate) fn request(&self) -> Vec<u8> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let team = team(usize::try_from(number).unwrap_or(0) % self.load.tenants);
        let at = now_us() / 1_000_000;
        let body = format!(
            r#"{{"token":"bench","team_id":"{team}","context_team_id":"{team}","context_enterprise_id":null,"api_app_id":"{APP}","event":{{"client_msg_id":"0f6b1e1c-3b52-4c7e-9a3f-{number:012x}","type":"app_mention","text":"<@U0BENCH> please look at the deploy of yesterday evening, number {number}, and say whether it may stay","user":"U0PERSON1","ts":"{at}.{micros:06}","team":"{team}","blocks":[{{"type":"rich_text","block_id":"aB1cD","elements":[{{"type":"rich_text_section","elements":[{{"type":"user","user_id":"U0BENCH"}},{{"type":"text","text":" please look at the deploy of yesterday evening, number {number}, and say whether it may stay"}}]}}]}}],"channel":"C0CHANNEL","event_ts":"{at}.{micros:06}"}},"type":"event_callback","event_id":"{event_id}","event_time":{at},"authorizations":[{{"enterprise_id":null,"team_id":"{team}","user_id":"U0BENCH","is_bot":true,"is_enterprise_install":false}}],"is_ext_shared_channel":false,"event_context":"4-bench"}}"#,
            micros = number % 1_000_000,
            event_id = event_id(self.begun_us + 32 * i64::try_from(number).unwrap_or(0)),
        );
        let signature = self.secret.sign(at, body.as_bytes());
        let mut request = format!(
            "POST {} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nuser-agent: Slackbot 1.0 (+https://api.slack.com/robots)\r\naccept: */*\r\ncontent-type: application/json\r\nx-slack-request-timestamp: {at}\r\nx-slack-signature: {signature}\r\ncontent-length: {}\r\n\r\n",
            self.load.path, self.load.port, body.len(),
        )
        .into_bytes();
        request.extend_from_slice(body.as_bytes());
        request
    }
}

/// One connection, and what was read of it and not yet used.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(4096) })
    }

    /// Asks, and says whether the answer was a 200.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<bool> {
        self.exchange(request).await?;
        Ok(self.read.starts_with(b"HTTP/1.1 200"))
    }

    /// Asks, and gives the answer's status and body.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        let head = self.exchange(request).await?;
        let status = std::str::from_utf8(self.read.get(9..12).unwrap_or_default())?.parse()?;
        Ok((status, self.read[head + 4..].to_vec()))
    }

    /// Asks, and reads the answer whole. Where its head ends.
    async fn exchange(&mut self, request: &[u8]) -> Result<usize> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the server hung up");
            let Some(head) = self.read.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.read[..head]).context("no HTTP")?.to_ascii_lowercase();
            let length = text.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
            let length = length.map_or(Ok(0), |length| length.trim().parse::<usize>())?;
            if self.read.len() >= head + 4 + length {
                return Ok(head);
            }
        }
    }
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().event_interval(1).enable_all().build()?)
}

/// Each connection asks again as soon as it was answered. Answers in a second.
pub(crate) fn closed_loop(load: &Load, warm_up: Duration, measured: Duration) -> Result<f64> {
    let maker = Arc::new(Maker::new(load));
    let (answered, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    runtime()?.block_on(async {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let mut asking = Vec::new();
                for _ in 0..load.connections {
                    let mut connection = Connection::open(load.port).await?;
                    let (maker, answered, refused, over) =
                        (maker.clone(), answered.clone(), refused.clone(), over.clone());
                    asking.push(tokio::task::spawn_local(async move {
                        while !over.load(Ordering::Relaxed) {
                            let counter =
                                if connection.ask(&maker.request()).await? { &answered } else { &refused };
                            counter.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok::<(), anyhow::Error>(())
                    }));
                }
                tokio::time::sleep(warm_up).await;
                let (before, begun) = (answered.load(Ordering::Relaxed), Instant::now());
                tokio::time::sleep(measured).await;
                let rate = (answered.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64();
                over.store(true, Ordering::Relaxed);
                for asked in asking {
                    asked.await??;
                }
                let refused = refused.load(Ordering::Relaxed);
                ensure!(refused == 0, "{refused} requests were not answered 200");
                Ok(rate)
            })
            .await
    })
}

/// Waits without a timer of the runtime's, which is a millisecond late: this core has nothing else to do.
pub(crate) async fn until(due: Instant) {
    while Instant::now() < due {
        tokio::task::yield_now().await;
    }
}

/// Requests at a fixed rate, whatever becomes of those before; the time to an answer counts from when its request
/// was due, not from when a connection was free for it.
pub(crate) fn open_loop(load: &Load, per_second: u32, measured: Duration) -> Result<Latencies> {
    let maker = Arc::new(Maker::new(load));
    runtime()?.block_on(async {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let mut free = Vec::new();
                for _ in 0..64 {
                    free.push(Connection::open(load.port).await?);
                }
                let free = std::rc::Rc::new(std::cell::RefCell::new(free));
                let took = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
                let (begun, pause) = (Instant::now(), Duration::from_secs(1) / per_second);
                let count = u32::try_from(measured.as_millis()).unwrap_or(u32::MAX) / 1000 * per_second;
                let mut asking = Vec::new();
                for number in 0..count {
                    let due = begun + pause * number;
                    until(due).await;
                    let (maker, free, took, port) = (maker.clone(), free.clone(), took.clone(), load.port);
                    asking.push(tokio::task::spawn_local(async move {
                        let taken = free.borrow_mut().pop();
                        let mut connection = match taken {
                            Some(connection) => connection,
                            None => Connection::open(port).await?,
                        };
                        ensure!(connection.ask(&maker.request()).await?, "a request was not answered 200");
                        took.borrow_mut().push(due.elapsed());
                        free.borrow_mut().push(connection);
                        Ok(())
                    }));
                }
                for asked in asking {
                    asked.await??;
                }
                Ok(Latencies::of(took.take()))
            })
            .await
    })
}
