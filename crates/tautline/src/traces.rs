//! Traces, by OpenTelemetry's protocol, where `OTEL_EXPORTER_OTLP_ENDPOINT` says so. Its other variables
//! (`OTEL_SERVICE_NAME`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER` …) mean what they mean everywhere; the
//! first two also in `.env`.

use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Environment, Problems};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// What gathers spans, if anybody wants them. Without it none is made, and none costs anything.
pub(crate) fn layer<S>(environment: &Environment, problems: &mut Problems) -> Option<impl Layer<S> + use<S>>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let endpoint = environment.get(ENDPOINT, problems)?;
    let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    // Given by hand: the exporter itself reads the process's variables, and not `.env`.
    let headers = environment.get("OTEL_EXPORTER_OTLP_HEADERS", problems).unwrap_or_default();
    let headers = headers.split(',').filter_map(|header| header.split_once('='));
    let headers = headers.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).with_headers(headers);
    let exporter = match exporter.build() {
        Ok(exporter) => exporter,
        Err(error) => {
            problems.add(format!("{ENDPOINT} cannot be used: {error}"));
            return None;
        }
    };
    let name = environment.get("OTEL_SERVICE_NAME", problems).unwrap_or_else(|| "tautline".to_owned());
    let resource = Resource::builder().with_service_name(name).build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let tracer = provider.tracer("tautline");
    let _ = PROVIDER.set(provider);
    // Our own spans alone. Lines of the log stay in the log: they may name a tenant, which nothing here does.
    let ours = |metadata: &Metadata<'_>| metadata.is_span() && metadata.target().starts_with("tautline");
    Some(
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_filter(filter_fn(ours).with_max_level_hint(LevelFilter::DEBUG)),
    )
}

/// Sends what is still at hand. At the end of the process.
pub(crate) fn flush() {
    if let Some(provider) = PROVIDER.get() {
        // Whoever gathers them may be gone; then they are lost, as traces may be.
        let _ = provider.shutdown();
    }
}
