//! `/channels/slack/claim`: an install that began at Slack is connected to the tenant of whoever claims it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode, Uri};
use serde::Deserialize;
use tautline_core::access::Scope;

use super::frame::{Frame, Section};
use crate::app::App;
use crate::auth::{SignedIn, Submitted};
use crate::error::ApiQuery;
use crate::installations::park::{CLAIM, notice, parked, unpark};
use crate::installations::redeem::{self, Claim};
use crate::page::{Link, Notice, PageResult, Tone, render};

#[derive(Template)]
#[template(path = "claim.html")]
struct Page {
    frame: Frame,
    place: String,
    /// Names are anybody's to choose; these are not.
    id: String,
    address: Option<String>,
    install: String,
    action: &'static str,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    install: String,
}

/// Names the workspace and the tenant: whoever was sent here by somebody else sees what would happen.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    uri: Uri,
    ApiQuery(asked): ApiQuery<Asked>,
) -> PageResult<Response> {
    let who = SignedIn::find(&app, &headers).await?;
    let Some((_, answers)) = parked(&app, &asked.install).await? else { return Ok(ended().into_response()) };
    let Some(who) = who else { return Ok(notice(&answers.place(), &uri.to_string()).into_response()) };
    who.may(Scope::Manage)?;
    let frame = Frame::of(&app, &who, Section::Channels).await?;
    let (id, address) = (answers.place_id(), answers.address());
    let page = Page { frame, place: answers.place(), id, address, install: asked.install, action: CLAIM };
    Ok(render(StatusCode::OK, &page))
}

pub(super) async fn submit(State(app): State<Arc<App>>, submitted: Submitted<Asked>) -> PageResult<Response> {
    let Submitted { who, form } = submitted;
    let tenant = who.may(Scope::Manage)?.clone();
    let Some((id, answers)) = parked(&app, &form.install).await? else { return Ok(ended().into_response()) };
    let (claiming, actor) = (app.clone(), who.name().to_owned());
    let claiming = async move {
        let claim = Claim { tenant, actor, link: None };
        let stored = match answers.installation(id, &claim) {
            Ok(new) => redeem::store(&claiming, new, claim).await,
            Err(ending) => Err(ending),
        };
        if stored.is_ok() {
            unpark(&claiming, id).await;
        }
        Ok(stored)
    };
    let stored = app.to_the_end(claiming).await?;
    match stored {
        Ok(_) => Ok(Redirect::to("/channels/slack?connected=yes").into_response()),
        Err(ending) => Ok(ending.into_response()),
    }
}

fn ended() -> Notice {
    Notice {
        status: StatusCode::GONE,
        code: "install_gone",
        tone: Tone::Bad,
        title: "This install waits no more".into(),
        lead: "It was claimed, or is older than half an hour.".into(),
        next: "If the workspace is not in your list, connect it from there.".into(),
        link: Some(Link { href: "/channels/slack".into(), text: "Your workspaces".into() }),
    }
}
