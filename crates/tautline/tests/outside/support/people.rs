//! A person with a browser: follows links, keeps cookies, presses buttons.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::{RequestBuilder, Response, StatusCode};
use url::Url;

use super::{Slack, http};

/// A browser with cookies.
#[derive(Default)]
pub struct Browser {
    cookies: Mutex<BTreeMap<String, String>>,
}

/// The same person at another desk: the same cookies, and from then on its own.
impl Clone for Browser {
    fn clone(&self) -> Self {
        Self { cookies: Mutex::new(self.cookies.lock().unwrap().clone()) }
    }
}

/// What a page or redirect said.
pub struct Page {
    pub status: StatusCode,
    pub location: Option<String>,
    pub html: String,
}

/// A form body.
pub fn form(pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://x/").unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

impl Browser {
    pub async fn get(&self, url: &str) -> Page {
        self.send(http().get(url)).await
    }

    pub async fn submit(&self, url: &str, pairs: &[(&str, &str)]) -> Page {
        let request = http().post(url).header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(form(pairs))).await
    }

    /// The header that it would send.
    pub fn cookies(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn send(&self, request: RequestBuilder) -> Page {
        let cookies = self.cookies();
        let mut request = request.header("accept", "text/html");
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        let answer = request.send().await.unwrap();
        self.keep(&answer);
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        Page { status: answer.status(), location, html: answer.text().await.unwrap() }
    }

    fn keep(&self, answer: &Response) {
        for line in answer.headers().get_all("set-cookie") {
            let (pair, attributes) = line.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            let mut cookies = self.cookies.lock().unwrap();
            if attributes.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Opens a connect link, and returns the address of Slack's consent page.
    pub async fn begin(&self, link: &str) -> String {
        let page = self.get(link).await;
        assert_eq!(page.status, StatusCode::FOUND, "{}", page.html);
        page.location.unwrap()
    }

    /// Decides on Slack's consent page, and returns where Slack sends the browser.
    pub async fn decide(&self, slack: &Slack, consent: &str, decision: &str) -> String {
        self.decide_for(slack, consent, decision, None).await
    }

    /// The same, for a workspace by name.
    pub async fn decide_for(
        &self,
        slack: &Slack,
        consent: &str,
        decision: &str,
        name: Option<&str>,
    ) -> String {
        let page = self.get(consent).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.html);
        let team = page
            .html
            .split("<option value=\"")
            .skip(1)
            .find(|option| name.is_none_or(|name| option.contains(name)))
            .and_then(|option| option.split('"').next())
            .expect("a workspace to choose")
            .to_owned();
        let asked = Url::parse(consent).unwrap();
        // What was hinted at is not what is chosen.
        let asked = asked.query_pairs().filter(|(name, _)| name != "team").collect::<Vec<_>>();
        let mut pairs = asked.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect::<Vec<_>>();
        pairs.extend([("decision", decision), ("team", team.as_str())]);
        let page = self.submit(&format!("{}/oauth/v2/authorize", slack.url), &pairs).await;
        page.location.expect("Slack sends people back")
    }

    /// From the link to the last page.
    pub async fn connect(&self, slack: &Slack, link: &str) -> Page {
        let consent = self.begin(link).await;
        let callback = self.decide(slack, &consent, "allow").await;
        self.get(&callback).await
    }
}
