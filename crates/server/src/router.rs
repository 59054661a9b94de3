//! Every route, on one page.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tautline_core::limits;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::{Span, field};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::v1;
use crate::app::App;
use crate::error::ApiError;
use crate::installations::{callback, link, start};
use crate::outbound::{files, proxy};
use crate::page::{PageError, wants_html};
use crate::{dashboard, health, inbound, metrics, openapi};

/// The routes under `/api` and `/slack`, each registered with its description.
pub(crate) fn described() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(openapi::Frame::openapi()).merge(front_door()).merge(rooms())
}

/// What Slack asks.
fn front_door() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(inbound::webhooks_slack))
        .routes(routes!(inbound::webhooks_slack_events))
        .routes(routes!(inbound::slack_commands))
}

/// What everybody else asks.
fn rooms() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(start::start))
        .routes(routes!(callback::callback, callback::confirm))
        .routes(routes!(v1::connect_links::create::create))
        .routes(routes!(link::open))
        .routes(routes!(v1::installations::list::list))
        .routes(routes!(v1::installations::get::get, v1::installations::disconnect::disconnect))
        .routes(routes!(v1::installations::channels::channels))
        .routes(routes!(v1::installations::import::import))
        .routes(routes!(v1::installations::move_to::move_to))
        .routes(routes!(v1::users::erase::erase))
        .routes(routes!(v1::tenants::create::create))
        .routes(routes!(v1::tenants::erase::erase))
        .routes(routes!(v1::vault::reseal::reseal))
        .routes(routes!(v1::keys::create::create, v1::keys::list::list))
        .routes(routes!(v1::keys::revoke::revoke))
        .routes(routes!(v1::audit::list::list))
        .routes(routes!(v1::messages::create::create, v1::messages::list::list))
        .routes(routes!(v1::messages::batch::batch))
        .routes(routes!(v1::messages::get::get, v1::messages::change::change, v1::messages::remove::remove))
        .routes(routes!(v1::messages::retry::retry))
        .routes(routes!(v1::messages::react::react))
        .routes(routes!(v1::files::upload::create))
        .routes(routes!(v1::routes::list::list))
        .routes(routes!(v1::routes::get::get, v1::routes::put::put, v1::routes::remove::remove))
        .routes(routes!(v1::routes::test::test))
        .routes(routes!(v1::dashboard_links::create::create))
        .routes(routes!(dashboard::link::open))
        .routes(routes!(v1::endpoints::create::create, v1::endpoints::list::list))
        .routes(routes!(
            v1::endpoints::get::get,
            v1::endpoints::change::change,
            v1::endpoints::remove::remove
        ))
        .routes(routes!(v1::endpoints::rotate_secret::rotate_secret))
        .routes(routes!(v1::endpoints::test::test))
        .routes(routes!(v1::deliveries::list::list))
        .routes(routes!(v1::dead_letters::list::list))
        .routes(routes!(v1::dead_letters::replay::replay))
        .routes(routes!(v1::inbox::list::list))
        .routes(routes!(v1::inbox::get::get))
        .routes(routes!(v1::inbox::replay::replay))
        .routes(routes!(v1::inbox::replay_all::replay_all))
        .routes(routes!(proxy::proxy_get, proxy::proxy_post))
        .routes(routes!(files::download))
}

/// The whole server.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (front_door, _) = front_door().split_for_parts();
    let (rooms, _) = rooms().split_for_parts();
    let rooms = rooms
        .merge(dashboard::router())
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(metrics::show))
        .route("/openapi.json", get(openapi::openapi_json));
    // SLACK_REDIRECT_URI may name a path of its own, from before there was a gateway. Looked at last, so that
    // it takes nothing from the routes above.
    let elsewhere = Router::new()
        .route(app.settings.redirect_uri.path(), get(callback::callback).post(callback::confirm))
        .fallback(no_such_route)
        .with_state(app.clone());
    let rooms = rooms
        .fallback_service(elsewhere)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(limits::API_BODY_BYTES))
        .layer(RequestBodyTimeoutLayer::new(limits::BODY_READ))
        .layer(middleware::from_fn(common_headers))
        .layer(CatchPanicLayer::custom(|_| broken()))
        .layer(TraceLayer::new_for_http().make_span_with(span).on_request(()).on_failure(()).on_response(
            |response: &Response, took: Duration, _: &Span| {
                tracing::debug!(status = response.status().as_u16(), took_ms = took.as_millis(), "answered");
            },
        ))
        .with_state(app.clone());
    // Before the layers: Slack needs none of them, the door has its own limits of size and time, and together they
    // cost a tenth of what an acknowledgement does.
    front_door.method_not_allowed_fallback(no_such_method).fallback_service(rooms).with_state(app)
}

/// The route and not the path: paths of links, and queries, hold secrets.
fn span(request: &Request) -> Span {
    let span = tracing::info_span!("http", method = %request.method(), route = field::Empty);
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        span.record("route", route.as_str());
    }
    span
}

async fn common_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // The address of a page may be a secret.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn no_such_route(headers: HeaderMap) -> Response {
    let error = ApiError::not_found("no_such_route", "there is nothing here");
    if wants_html(&headers) {
        return PageError::from(error.fix("check the address")).into_response();
    }
    error.fix("see /openapi.json").into_response()
}

async fn no_such_method(headers: HeaderMap) -> Response {
    let error = ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this route does not take this method",
    );
    if wants_html(&headers) {
        return PageError::from(error.fix("this address is for forms and programs")).into_response();
    }
    error.fix("see /openapi.json").into_response()
}

fn broken() -> Response {
    tracing::error!("a handler panicked");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something went wrong in here")
        .into_response()
}
