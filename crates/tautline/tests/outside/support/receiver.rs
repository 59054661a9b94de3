//! An endpoint of the product, under the test's control: it keeps what it gets, and says what it is told to.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::eventually;

/// What it got.
#[derive(Clone, Debug)]
pub struct Received {
    /// As it stands in the request's first line.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What it says.
#[derive(Clone)]
pub enum Reply {
    /// These bytes, as an HTTP response.
    Say(&'static str),
    /// Nothing, until let go; then these bytes.
    HoldThen(Arc<Notify>, &'static str),
    /// Nothing, ever.
    Hang,
    /// What it makes of the request.
    Of(Arc<Answering>),
}

type Answering = dyn Fn(Received) -> Pin<Box<dyn Future<Output = String> + Send>> + Send + Sync;

impl Reply {
    /// What a function makes of each request.
    pub fn of<R: Future<Output = String> + Send + 'static>(
        answer: impl Fn(Received) -> R + Send + Sync + 'static,
    ) -> Self {
        Self::Of(Arc::new(move |received| Box::pin(answer(received))))
    }
}

/// An HTTP response.
pub fn response(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} Told\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A running endpoint.
pub struct Receiver {
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    reply: watch::Sender<Reply>,
    accepting: JoinHandle<()>,
}

impl Receiver {
    pub async fn start(address: SocketAddr, reply: Reply) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (reply, said) = watch::channel(reply);
        let kept = received.clone();
        let accepting = tokio::spawn(async move {
            // Whatever is under way ends with the receiver.
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, kept.clone(), said.clone()));
            }
        });
        Self { url: format!("http://{address}/slack/events"), received, reply, accepting }
    }

    /// Changes what it says.
    pub fn reply(&self, reply: Reply) {
        self.reply.send_replace(reply);
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until it got so many.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} requests at the endpoint"), async || {
            Some(self.received()).filter(|received| received.len() >= count)
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One request, one answer, then the connection closes: simple, and no reuse to reason about.
async fn serve(
    mut stream: TcpStream,
    kept: Arc<Mutex<Vec<Received>>>,
    said: watch::Receiver<Reply>,
) -> Option<()> {
    let mut bytes = Vec::new();
    let (head, body_at) = loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            break (String::from_utf8_lossy(&bytes[..end]).into_owned(), end + 4);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let headers = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect::<Vec<_>>();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    while bytes.len() < body_at + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let got = Received { path, headers, body: bytes[body_at..].to_vec() };
    kept.lock().unwrap().push(got.clone());
    let reply = said.borrow().clone();
    let answer = match reply {
        Reply::Say(answer) => answer.to_owned(),
        Reply::HoldThen(go, answer) => {
            go.notified().await;
            answer.to_owned()
        }
        Reply::Hang => std::future::pending().await,
        Reply::Of(answer) => answer(got).await,
    };
    // Said aloud, or the gateway might send its next request into a connection that is just closing.
    let answer = answer.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
