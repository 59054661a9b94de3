//! A Slack that takes messages at once, and remembers when each came.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What came, by channel.
#[derive(Clone, Default)]
pub(crate) struct Slack {
    came: Rc<RefCell<HashMap<String, Vec<Instant>>>>,
    /// The least time between two messages of a channel; what comes sooner is refused.
    least: Option<Duration>,
}

impl Slack {
    pub(crate) fn new(least: Option<Duration>) -> Self {
        Self { least, ..Self::default() }
    }

    /// Forgets what came.
    pub(crate) fn forget(&self) {
        self.came.borrow_mut().clear();
    }

    /// How many came.
    pub(crate) fn count(&self) -> usize {
        self.came.borrow().values().map(Vec::len).sum()
    }

    /// When the first came to a channel.
    pub(crate) fn came_to(&self, channel: &str) -> Option<Instant> {
        self.came.borrow().get(channel).and_then(|came| came.first().copied())
    }

    /// When messages came, by channel.
    pub(crate) fn came(&self) -> HashMap<String, Vec<Instant>> {
        self.came.borrow().clone()
    }

    pub(crate) async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let slack = self.clone();
            tokio::task::spawn_local(async move { slack.connection(stream).await });
        }
    }

    async fn connection(self, mut stream: TcpStream) -> Option<()> {
        let _ = stream.set_nodelay(true);
        let mut bytes = Vec::with_capacity(8192);
        loop {
            let (head, end) = loop {
                if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                    let text = std::str::from_utf8(&bytes[..head]).ok()?.to_ascii_lowercase();
                    let length = text.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
                    let length = length.map_or(Some(0), |length| length.trim().parse::<usize>().ok())?;
                    if bytes.len() >= head + 4 + length {
                        break (head, head + 4 + length);
                    }
                }
                if stream.read_buf(&mut bytes).await.ok()? == 0 {
                    return None;
                }
            };
            let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
            bytes.drain(..end);
            stream.write_all(self.answer(&text, &text[head.min(text.len())..]).as_bytes()).await.ok()?;
        }
    }

    fn answer(&self, request: &str, body: &str) -> String {
        let method = request.split(' ').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let json = match method.split('?').next().unwrap_or_default() {
            "auth.test" => {
                // A token names its workspace.
                let team =
                    request.split("xoxb-").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap_or("T0");
                format!(
                    r#"{{"ok":true,"url":"https://x.slack.com/","team":"Bench","user":"b","team_id":"{team}","user_id":"U0BENCH","bot_id":"B0BENCH","is_enterprise_install":false}}"#
                )
            }
            "chat.postMessage" => {
                let channel =
                    body.split("channel=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or("C0");
                let mut came = self.came.borrow_mut();
                let of_channel = came.entry(channel.to_owned()).or_default();
                let now = Instant::now();
                if let (Some(least), Some(last)) = (self.least, of_channel.last())
                    && now.duration_since(*last) < least
                {
                    return "HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
                        .to_owned();
                }
                of_channel.push(now);
                format!(r#"{{"ok":true,"channel":"{channel}","ts":"1700000000.{:06}"}}"#, of_channel.len())
            }
            "conversations.list" => r#"{"ok":true,"channels":[]}"#.to_owned(),
            _ => r#"{"ok":true}"#.to_owned(),
        };
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{json}",
            json.len()
        )
    }
}
