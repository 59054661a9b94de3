//! The log: to standard error, as text or as JSON. And traces, to whoever gathers them.

use std::io::IsTerminal as _;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::{Environment, Problems};
use crate::traces;

/// Starts logging as `TAUTLINE_LOG` and `TAUTLINE_LOG_FORMAT` say.
pub(crate) fn start(environment: &Environment, default: &str) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let wanted = environment.get("TAUTLINE_LOG", &mut problems).unwrap_or_else(|| default.to_owned());
    let format = environment.get("TAUTLINE_LOG_FORMAT", &mut problems);
    // The filter's own notation takes any word for the name of a module, and would silence everything else.
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let is_word = !wanted.contains(['=', ',']) && !levels.contains(&wanted.to_ascii_lowercase().as_str());
    let read = if is_word { None } else { EnvFilter::try_new(&wanted).ok() };
    let filter = read.unwrap_or_else(|| {
        problems.add("TAUTLINE_LOG is not a level (error, warn, info, debug, trace) or a filter such as info,tautline_server=debug");
        EnvFilter::new(default)
    });
    let on_terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt::layer().with_ansi(on_terminal).with_writer(std::io::stderr);
    let log = match format.as_deref() {
        None | Some("text") => log.boxed(),
        Some("json") => log.json().boxed(),
        Some(_) => {
            problems.add("TAUTLINE_LOG_FORMAT is not text or json");
            log.boxed()
        }
    };
    let traces = traces::layer(environment, &mut problems);
    tracing_subscriber::registry().with(log.with_filter(filter)).with(traces).init();
    problems.or(())
}
