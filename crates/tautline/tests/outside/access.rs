//! Who may call what: every route of the reference, with every credential that does not open it.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::issuer::{SigningKey, TokenIssuer};
use crate::support::{ADMIN_KEY, Address, ENCRYPTION_KEYS, Gateway, GatewaySetup, http};

/// What a route asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// Nothing: Slack's signature, a secret link, or a page of its own stands before it.
    Nothing,
    /// A platform key with a scope.
    Platform(&'static str),
    /// Any key with a scope, within its tenant.
    Scope(&'static str),
    /// A key, in the way of Slack's Web API: what it lacks is told in Slack's own form.
    InSlacksWay,
}

use Asks::{InSlacksWay, Nothing, Platform, Scope};

/// A new route belongs here, or the test fails.
const ROUTES: [(&str, &str, Asks); 55] = [
    ("get", "/api/v1/audit", Scope("manage")),
    ("post", "/api/v1/dashboard-links", Scope("manage")),
    ("get", "/api/v1/dashboard-links/{secret}", Nothing),
    ("get", "/api/v1/dead-letters", Scope("read")),
    ("post", "/api/v1/dead-letters/replay", Scope("manage")),
    ("get", "/api/v1/deliveries", Scope("read")),
    ("get", "/api/v1/endpoints", Platform("read")),
    ("post", "/api/v1/endpoints", Platform("manage")),
    ("get", "/api/v1/endpoints/{id}", Platform("read")),
    ("delete", "/api/v1/endpoints/{id}", Platform("manage")),
    ("patch", "/api/v1/endpoints/{id}", Platform("manage")),
    ("post", "/api/v1/endpoints/{id}/rotate-secret", Platform("manage")),
    ("post", "/api/v1/endpoints/{id}/test", Platform("manage")),
    ("get", "/api/v1/inbox", Scope("read")),
    ("post", "/api/v1/inbox/replay", Scope("manage")),
    ("get", "/api/v1/inbox/{id}", Scope("read")),
    ("post", "/api/v1/inbox/{id}/replay", Scope("manage")),
    ("post", "/api/v1/integrations/slack/connect-links", Scope("manage")),
    ("get", "/api/v1/integrations/slack/connect-links/{secret}", Nothing),
    ("get", "/api/v1/integrations/slack/installations", Scope("read")),
    ("get", "/api/v1/integrations/slack/installations/{id}", Scope("read")),
    ("post", "/api/v1/integrations/slack/installations/import", Platform("manage")),
    ("delete", "/api/v1/integrations/slack/installations/{id}", Scope("manage")),
    ("post", "/api/v1/integrations/slack/installations/{id}/move", Platform("manage")),
    ("get", "/api/v1/integrations/slack/messages", Scope("read")),
    ("post", "/api/v1/integrations/slack/messages", Scope("send")),
    ("get", "/api/v1/integrations/slack/messages/{id}", Scope("read")),
    ("get", "/api/v1/integrations/slack/oauth/callback", Nothing),
    ("post", "/api/v1/integrations/slack/oauth/callback", Nothing),
    // A page: without a credential it is the sign-in page.
    ("get", "/api/v1/integrations/slack/oauth/start", Scope("manage")),
    ("delete", "/api/v1/integrations/slack/users/{id}/content", Scope("manage")),
    ("patch", "/api/v1/integrations/slack/messages/{id}", Scope("send")),
    ("delete", "/api/v1/integrations/slack/messages/{id}", Scope("send")),
    ("post", "/api/v1/integrations/slack/messages/batch", Scope("send")),
    ("post", "/api/v1/integrations/slack/messages/{id}/retry", Scope("send")),
    ("post", "/api/v1/integrations/slack/reactions", Scope("send")),
    ("get", "/api/v1/integrations/slack/installations/{id}/channels", Scope("read")),
    ("get", "/api/v1/integrations/slack/routes", Scope("read")),
    ("get", "/api/v1/integrations/slack/routes/{name}", Scope("read")),
    ("put", "/api/v1/integrations/slack/routes/{name}", Scope("manage")),
    ("delete", "/api/v1/integrations/slack/routes/{name}", Scope("manage")),
    ("post", "/api/v1/integrations/slack/routes/{name}/test", Scope("send")),
    ("post", "/api/v1/integrations/webhooks/slack", Nothing),
    ("get", "/api/v1/keys", Scope("manage")),
    ("post", "/api/v1/keys", Platform("manage")),
    ("delete", "/api/v1/keys/{id}", Scope("manage")),
    ("post", "/api/v1/tenants", Platform("manage")),
    ("delete", "/api/v1/tenants/{id}", Platform("manage")),
    ("post", "/api/v1/vault/reseal", Platform("manage")),
    ("post", "/api/v1/webhooks/slack/events", Nothing),
    ("post", "/api/v1/integrations/slack/files", Scope("send")),
    ("get", "/slack/files", Scope("send")),
    ("get", "/slack/api/{method}", InSlacksWay),
    ("post", "/slack/api/{method}", InSlacksWay),
    ("post", "/slack/commands", Nothing),
];

fn at(gateway: &Gateway, path: &str) -> String {
    // Whatever an id would look like, nobody may learn whether it is one.
    let path = path
        .replace("{id}", "x")
        .replace("{name}", "x")
        .replace("{secret}", "x")
        .replace("{method}", "chat.postMessage");
    format!("{}{path}", gateway.url)
}

async fn ask(
    gateway: &Gateway,
    route: (&str, &str),
    key: Option<&str>,
    tenant: Option<&str>,
) -> (StatusCode, Value) {
    let (method, path) = route;
    let method: Method = method.to_uppercase().parse().unwrap();
    // Whatever an id would look like, nobody may learn whether it is one.
    let path = path
        .replace("{id}", "x")
        .replace("{name}", "x")
        .replace("{secret}", "x")
        .replace("{method}", "chat.postMessage");
    let path = match path.as_str() {
        "/api/v1/integrations/slack/files" => format!("{path}?channel=C1&filename=x"),
        "/slack/files" => format!("{path}?url=x"),
        _ => path,
    };
    // A body that says what it must, so that nothing but the credential can be wrong.
    let body = match (&method, path.as_str()) {
        (&Method::GET, _) => None,
        (_, "/api/v1/endpoints") => {
            Some(json!({ "url": "http://app/", "form": "slack", "filters": ["*"], "tenants": ["*"] }))
        }
        (_, "/api/v1/keys") => Some(json!({ "scopes": ["read"] })),
        (_, "/api/v1/tenants") => Some(json!({ "id": "initech" })),
        (_, "/api/v1/integrations/slack/messages/batch") => {
            Some(json!({ "messages": [{ "to": { "channel": "C1" }, "text": "x" }] }))
        }
        (_, "/api/v1/integrations/slack/routes/x") => Some(json!({ "channels": ["C1"] })),
        (_, "/api/v1/integrations/slack/reactions") => Some(json!({ "name": "x", "message": "msg_x" })),
        (_, "/api/v1/integrations/slack/messages") => Some(json!({ "to": { "channel": "C1" }, "text": "x" })),
        _ => Some(json!({})),
    };
    gateway.ask(method, &path, key, tenant, body).await
}

async fn key(gateway: &Gateway, tenant: Option<&str>, scopes: &[&str]) -> String {
    let (status, made) = gateway.post("/api/v1/keys", json!({ "tenant": tenant, "scopes": scopes })).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_route_is_listed_with_what_it_asks_for() {
    let document = tautline_server::openapi();
    let routes = document["paths"].as_object().unwrap().iter().flat_map(|(path, operations)| {
        operations.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
    });
    let listed = ROUTES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(routes.collect::<BTreeSet<_>>(), listed.collect::<BTreeSet<_>>());
}

#[tokio::test]
async fn no_route_opens_to_a_credential_that_is_missing_forged_or_for_something_else() {
    let address = Address::new();
    let (issuer, signs) = (TokenIssuer::start(address).await, SigningKey::es256());
    issuer.publish(&[signs.public("k1")]);
    let gateway = GatewaySetup::bare(address)
        .with("TAUTLINE_AUTH_ISSUER", &issuer.url)
        .with("SLACK_CLIENT_ID", "1.2")
        .with("SLACK_CLIENT_SECRET", "client-secret")
        .with("SLACK_SIGNING_SECRET", "signing-secret")
        .with("TAUTLINE_ENCRYPTION_KEYS", ENCRYPTION_KEYS)
        .start();
    let acme = gateway.tenant("acme").await;
    gateway.tenant("globex").await;
    let lacking = async |scope: &str, tenant| {
        let others = ["read", "send", "manage"].into_iter().filter(|each| *each != scope).collect::<Vec<_>>();
        key(&gateway, tenant, &others).await
    };
    let claims =
        |iss: &str, org: Value| json!({ "iss": iss, "sub": "user_1", "exp": 4_000_000_000_i64, "o": org });
    let admin = json!({ "id": "acme", "rol": "admin" });
    let of_another = signs.token(Some("k1"), &claims("https://another.example.com", admin.clone()));
    let by_another = SigningKey::es256().token(Some("k1"), &claims(&issuer.url, admin.clone()));
    let without_org = signs.token(Some("k1"), &claims(&issuer.url, Value::Null));
    let of_globex = signs.token(Some("k1"), &claims(&issuer.url, json!({ "id": "globex", "rol": "admin" })));
    let ended = "tautline_session=of-yesterday";
    for (method, path, asks) in ROUTES {
        let (route, name) = ((method, path), format!("{method} {path}"));
        let (Platform(scope) | Scope(scope)) = asks else { continue };
        for forged in [None, Some("tl_forged"), Some("")] {
            let (status, said) = ask(&gateway, route, forged, Some("acme")).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{name} with {forged:?}: {said}");
        }
        for (token, wanted) in [
            (&of_another, StatusCode::UNAUTHORIZED),
            (&by_another, StatusCode::UNAUTHORIZED),
            (&without_org, StatusCode::FORBIDDEN),
            (
                &of_globex,
                if matches!(asks, Platform(_)) { StatusCode::FORBIDDEN } else { StatusCode::NOT_FOUND },
            ),
        ] {
            // Keys alone, as in the proxy: `KEY.T0123` and a token look alike.
            let wanted = if path == "/slack/files" { StatusCode::UNAUTHORIZED } else { wanted };
            let (status, said) = ask(&gateway, route, Some(token), Some("acme")).await;
            assert_eq!(status, wanted, "{name} with a token: {said}");
        }
        let with_cookie = http().request(method.to_uppercase().parse().unwrap(), at(&gateway, path));
        let status = with_cookie.header("cookie", ended).send().await.unwrap().status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name} with a session that ended");
        let (tenant, admin_for) =
            if matches!(asks, Platform(_)) { (None, None) } else { (Some("acme"), Some("acme")) };
        let (status, said) = ask(&gateway, route, Some(&lacking(scope, tenant).await), None).await;
        assert_eq!(
            (status, &said["code"]),
            (StatusCode::FORBIDDEN, &json!("scope_missing")),
            "{name}: {said}"
        );
        match asks {
            Platform(_) => {
                let (status, said) = ask(&gateway, route, Some(&acme), None).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{name} with a tenant's key: {said}");
            }
            _ => {
                let (status, said) = ask(&gateway, route, Some(&acme), Some("globex")).await;
                assert_eq!(status, StatusCode::NOT_FOUND, "{name} for another tenant: {said}");
            }
        }
        let (status, said) = ask(&gateway, route, Some(ADMIN_KEY), admin_for).await;
        assert!(status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN, "{name}: {said}");
    }
    for (method, path, _) in ROUTES.iter().filter(|(.., asks)| *asks == InSlacksWay) {
        for forged in [None, Some("tl_forged")] {
            let (status, said) = ask(&gateway, (method, path), forged, None).await;
            assert_eq!((status, &said["ok"]), (StatusCode::OK, &json!(false)), "{said}");
            assert!(["not_authed", "invalid_auth"].contains(&said["error"].as_str().unwrap()), "{said}");
        }
    }
}
