//! What `tautline dev` prints: where everything is, and what to do first.

use url::Url;

use super::data::DevData;

pub(super) struct Facts<'a> {
    pub(super) public_url: &'a Url,
    pub(super) slack_url: &'a Url,
    /// Signs in whoever opens it.
    pub(super) dashboard: &'a Url,
    /// Workspaces that are connected already.
    pub(super) connected: &'a [String],
    pub(super) tenant: &'a str,
    pub(super) bot_name: &'a str,
    pub(super) forward: Option<&'a Url>,
    pub(super) data: &'a DevData,
}

#[expect(clippy::print_stdout, reason = "this is what a person at a terminal reads")]
pub(super) fn print(facts: &Facts<'_>) {
    println!("{}", render(facts));
}

fn render(facts: &Facts<'_>) -> String {
    let Facts { public_url, slack_url, dashboard, connected, tenant, bot_name, forward, data } = facts;
    let mut rows = vec![
        ("gateway", public_url.to_string()),
        ("simulated Slack", slack_url.to_string()),
        ("tenant", (*tenant).to_owned()),
        ("its API key", data.api_key()),
        ("platform key", data.admin_key()),
        ("state", format!("{} (--fresh forgets it)", data.dir().display())),
        ("on", "inbound, connect, dispatch, Web API proxy".to_owned()),
        ("off", "operational alerts (tautline alert needs SLACK_OPS_WEBHOOK_URL)".to_owned()),
    ];
    match forward {
        Some(url) => rows.extend([
            ("handler", format!("your app at {url}")),
            ("its signing secret", data.forward_secret_text()),
            ("its slackApiUrl", format!("{public_url}slack/api/")),
        ]),
        None => rows.push(("handler", "a built-in echo (--forward URL for your own app)".to_owned())),
    }
    if !connected.is_empty() {
        rows.push(("connected already", connected.join(", ")));
    }
    let rows: String = rows.iter().map(|(name, value)| format!("  {name:<20}{value}\n")).collect();
    format!(
        "\nTautline dev\n\n{rows}\n  \
         1. Open the dashboard:   {dashboard}\n  \
         2. Connect a workspace:  there, under Channels\n  \
         3. Say something:        {slack_url}  (\"@{bot_name} hello\")\n  \
         4. See what came:        in the dashboard, under Inbox\n",
    )
}
