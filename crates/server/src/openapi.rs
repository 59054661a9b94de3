//! The OpenAPI document. Routes and their descriptions are registered together, so none can be missing.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// The document without its paths, which the router brings.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tautline",
        description = "The Slack channel of a product that has customers. Errors are \
            `{\"error\", \"code\", \"fix\"}`. A platform key acts for the tenant named in the header `Tautline-Tenant`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "inbound", description = "What Slack sends"),
        (name = "endpoints", description = "Who gets what Slack sends"),
        (name = "inbox", description = "The record of it"),
        (name = "deliveries", description = "On their way from there to endpoints, or given up"),
        (name = "installations", description = "Connected workspaces"),
        (name = "messages", description = "What the product says to Slack, queued and paced"),
        (name = "outbound", description = "The Web API, with a gateway key in place of a token"),
        (name = "dashboard", description = "Signing people in"),
        (name = "tenants", description = "The customers of the product"),
        (name = "keys", description = "API keys"),
        (name = "audit", description = "Who did what"),
        (name = "vault", description = "What is sealed at rest"),
    ),
    modifiers(&Keys),
    security(("key" = [])),
)]
pub(crate) struct Frame;

struct Keys;

impl Modify for Keys {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let key = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key (`tl_…`), or TAUTLINE_ADMIN_KEY"))
            .build();
        document.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(key));
        document.security.get_or_insert_with(|| vec![SecurityRequirement::new("key", [""; 0])]);
    }
}

/// The document.
pub fn document() -> Value {
    let (_, document) = crate::router::described().split_for_parts();
    let mut json = serde_json::to_value(document).expect("the document is plain JSON");
    let paths = json["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    for operation in paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut()) {
        // utoipa writes "no credential" as one empty requirement; the plain spelling is an empty list.
        if operation["security"] == json!([{}]) {
            operation["security"] = json!([]);
        }
    }
    json
}

pub(crate) async fn openapi_json() -> Response {
    Json(document()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_openapi_reference_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
        let current = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        if std::env::var_os("TAUTLINE_WRITE_REFERENCES").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == current, "docs/openapi.json is out of date: run cargo xtask references");
    }

    #[test]
    fn every_operation_of_the_openapi_says_who_may() {
        let document = document();
        let open: Vec<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, operations)| {
                let open = operations.as_object().unwrap().iter().filter(|(_, o)| o["security"] == json!([]));
                open.map(move |(method, _)| format!("{method} {path}"))
            })
            .collect();
        assert_eq!(document["security"], json!([{ "key": [] }]), "a key, unless said otherwise");
        assert_eq!(
            open,
            [
                "get /api/v1/dashboard-links/{secret}",
                "get /api/v1/integrations/slack/connect-links/{secret}",
                "get /api/v1/integrations/slack/oauth/callback",
                "post /api/v1/integrations/slack/oauth/callback",
                "post /api/v1/integrations/webhooks/slack",
                "post /api/v1/webhooks/slack/events",
                "post /slack/commands",
            ]
        );
    }
}
