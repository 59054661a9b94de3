//! Traces, by OpenTelemetry's protocol, where `OTEL_EXPORTER_OTLP_ENDPOINT` says so. Its other variables
//! (`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER` …) mean what they mean everywhere.

use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Environment, Problems};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// What gathers spans, if anybody wants them. Without it none is made, and none costs anything.
pub(crate) fn layer<S>(environment: &Environment, problems: &mut Problems) -> Option<impl Layer<S> + use<S>>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    environment.get(ENDPOINT, problems)?;
    // The exporter reads the variables itself.
    let exporter = match SpanExporter::builder().with_http().build() {
        Ok(exporter) => exporter,
        Err(error) => {
            problems.add(format!("{ENDPOINT} cannot be used: {error}"));
            return None;
        }
    };
    let resource = Resource::builder().with_service_name(service_name()).build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = provider.tracer("tautline");
    let _ = PROVIDER.set(provider);
    // Our own spans alone. Lines of the log stay in the log: they may name a tenant, which nothing here does.
    let ours = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with("tautline");
    Some(tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter_fn(ours)))
}

fn service_name() -> String {
    std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "tautline".to_owned())
}

/// Sends what is still at hand. At the end of the process.
pub(crate) fn flush() {
    if let Some(provider) = PROVIDER.get() {
        // Whoever gathers them may be gone; then they are lost, as traces may be.
        let _ = provider.shutdown();
    }
}
