//! The API without a server: for commands that look after a store nobody serves.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Collected};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;
use tautline_core::{SecretHash, new_secret};

use crate::app::App;
use crate::auth::TENANT_HEADER;
use crate::router::router;
use crate::server::{Ports, ServerError, app};
use crate::settings::Settings;

/// The API of a store, for the process that has it. Nothing is served, declared or delivered.
pub struct Desk {
    app: Arc<App>,
    key: String,
}

impl Desk {
    /// Sits down at a store.
    pub async fn new(settings: Settings, ports: Ports) -> Result<Self, ServerError> {
        // Of this desk, and gone with it.
        let key = new_secret(ports.rng.as_ref());
        let settings = Settings { admin_key: Some(SecretHash::of(&key)), ..settings };
        let app = Arc::new(app(settings, ports, Vec::new(), &[])?);
        app.refresh_endpoints().await?;
        Ok(Self { app, key })
    }

    /// Asks, with the platform's rights, for a tenant or for the platform itself.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        tenant: Option<&str>,
        body: Option<Value>,
    ) -> Result<(StatusCode, Value), http::Error> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.key));
        if let Some(tenant) = tenant {
            request = request.header(TENANT_HEADER, tenant);
        }
        let body = match body {
            Some(json) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(json.to_string())
            }
            None => Body::empty(),
        };
        let Ok(response) = TowerToHyperService::new(router(self.app.clone())).call(request.body(body)?).await;
        let status = response.status();
        let said = response.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
        Ok((status, serde_json::from_slice(&said).unwrap_or_default()))
    }
}
