//! From a function to a handler.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tautline_server::core::endpoint::Filter;
use tautline_server::dispatch::{Handler, HandlerAnswer, HandlerCall};
use tautline_server::slack::request::Kind;

use super::context::Asked;
use super::{Context, HandlerResult};

/// What is wanted: a name, of any of these kinds.
pub(super) fn filters(kinds: &[Kind], name: &str) -> Vec<Filter> {
    kinds.iter().map(|kind| Filter::of(*kind, name)).collect()
}

struct Function<P, F> {
    function: F,
    takes: PhantomData<fn(P)>,
}

pub(super) fn handler<P, F, R>(function: F) -> Arc<dyn Handler>
where
    P: for<'p> From<&'p Value> + Send + Sync + 'static,
    F: Fn(Context<P>) -> R + Send + Sync + 'static,
    R: Future<Output = HandlerResult> + Send + 'static,
{
    Arc::new(Function { function, takes: PhantomData })
}

#[async_trait]
impl<P, F, R> Handler for Function<P, F>
where
    P: for<'p> From<&'p Value> + Send + Sync + 'static,
    F: Fn(Context<P>) -> R + Send + Sync + 'static,
    R: Future<Output = HandlerResult> + Send + 'static,
{
    async fn handle(&self, call: HandlerCall) -> HandlerAnswer {
        let asked = Arc::new(Asked::new(call));
        match (self.function)(Context::new(asked.clone())).await {
            Ok(()) => asked.said().unwrap_or_else(HandlerAnswer::ok),
            // On record with the attempt, sealed, as it may hold a customer's words. Not in the log.
            Err(error) => HandlerAnswer::failed_because(format!("the handler failed: {error}")),
        }
    }
}
