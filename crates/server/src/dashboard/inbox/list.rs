//! `/inbox`: the list.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use tautline_core::access::Scope;
use tautline_core::inbox::{RequestFilter, RequestSummary, Whose};
use tautline_core::{InstallationId, RequestId, Timestamp, limits};
use tautline_slack::request::Kind;

use super::{answer_badge, delivery_badge, kind_name};
use crate::api::v1::paging::page;
use crate::app::App;
use crate::auth::SignedIn;
use crate::dashboard::bits::{Badge, Moment};
use crate::dashboard::frame::{Frame, Section};
use crate::error::ApiQuery;
use crate::installations::health;
use crate::page::{PageResult, Tone, render};

#[derive(Template)]
#[template(path = "inbox.html")]
struct Inbox {
    frame: Frame,
    rows: Vec<Row>,
    kinds: Vec<KindOption>,
    /// What is looked for.
    name: String,
    is_filtered: bool,
    /// The query of this list, from its beginning.
    here: String,
    /// Whether this is not the beginning.
    is_further: bool,
    /// The query of the next page.
    older: Option<String>,
    is_connected: bool,
}

struct Row {
    id: RequestId,
    kind: String,
    name: String,
    /// The workspace, by its name while it is connected.
    place: Option<String>,
    /// The message that it is about.
    message: Option<String>,
    /// Whether the row above is about the same message.
    is_twin: bool,
    received: Moment,
    badges: Vec<Badge>,
}

struct KindOption {
    value: &'static str,
    text: String,
    chosen: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::dashboard) struct Asked {
    kind: String,
    #[serde(rename = "type")]
    name: String,
    cursor: String,
}

pub(in crate::dashboard) async fn show(
    State(app): State<Arc<App>>,
    who: SignedIn,
    ApiQuery(asked): ApiQuery<Asked>,
) -> PageResult<Response> {
    let tenant = who.may(Scope::Read)?;
    let kind: Option<Kind> = asked.kind.parse().ok();
    let name = asked.name.trim();
    let filter =
        RequestFilter { kind, name: (!name.is_empty()).then(|| name.to_owned()), ..RequestFilter::default() };
    let found = app.store.requests(Whose::Tenant(tenant), &filter, page(None, Some(&asked.cursor))?).await?;
    let workspaces = app.store.installations(tenant, page(Some(limits::PAGE_MAX), None)?).await?.items;
    let names: HashMap<_, _> = workspaces.iter().map(|each| (each.id, health::name(each))).collect();
    let now = app.clock.now();
    let query = |cursor: &str| {
        let pairs = [("kind", asked.kind.as_str()), ("type", name), ("cursor", cursor)];
        let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        form_urlencoded::Serializer::new(String::new()).extend_pairs(set).finish()
    };
    let older = found.next.map(|cursor| query(&cursor.encode()));
    let page = Inbox {
        frame: Frame::of(&app, &who, Section::Inbox).await?,
        rows: grouped(found.items.into_iter().map(|summary| row(summary, &names, now)).collect()),
        kinds: Kind::ALL
            .iter()
            .map(|each| KindOption {
                value: each.as_str(),
                text: kind_name(*each),
                chosen: kind == Some(*each),
            })
            .collect(),
        name: name.to_owned(),
        is_filtered: kind.is_some() || !name.is_empty(),
        here: query(""),
        is_further: !asked.cursor.is_empty(),
        older,
        is_connected: !workspaces.is_empty(),
    };
    Ok(render(StatusCode::OK, &page))
}

/// What is about one message stands together: a mention comes twice, as `app_mention` and as `message`.
fn grouped(rows: Vec<Row>) -> Vec<Row> {
    let mut grouped: Vec<Row> = Vec::with_capacity(rows.len());
    for mut row in rows {
        let twin = grouped.iter().rposition(|other| row.message.is_some() && other.message == row.message);
        row.is_twin = twin.is_some();
        grouped.insert(twin.map_or(grouped.len(), |twin| twin + 1), row);
    }
    grouped
}

fn row(summary: RequestSummary, names: &HashMap<InstallationId, String>, now: Timestamp) -> Row {
    let RequestSummary { request, answer, retries, deliveries } = summary;
    let mut badges: Vec<Badge> = answer_badge(answer).into_iter().collect();
    badges.extend(deliveries.iter().map(delivery_badge));
    if deliveries.is_empty() {
        badges.push(Badge::new("kept; no handler", Tone::Plain));
    }
    if retries.count > 0 {
        badges.push(Badge::new(format!("sent {} times", retries.count + 1), Tone::Plain));
    }
    Row {
        id: request.id,
        message: request.message,
        is_twin: false,
        kind: kind_name(request.kind),
        name: request.name,
        place: request.installation.and_then(|id| names.get(&id).cloned()).or(request.team_id),
        received: Moment::of(request.received_at, now),
        badges,
    }
}
