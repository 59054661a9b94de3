//! A bot whose handlers are functions: a mention, a command that takes its time, a button that opens a modal, the
//! modal, and a menu that asks for its options.
//!
//! It is configured as `tautline serve` is, by the environment and `.env`; what that starts, this is, with handlers.

use std::time::Duration;

use serde_json::{Value, json};
use tautline::payload::{Action, Command, Event, Options, View};
use tautline::{Context, Gateway, GatewayError, HandlerResult, Message};

#[tokio::main]
async fn main() -> Result<(), GatewayError> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    Gateway::from_env()?
        .on_event("app_mention", mentioned)
        .on_command("/deploy", deploy)
        .on_command("/order", order)
        .on_action("order_open", open_form)
        .on_options("topping", toppings)
        .on_view("order", ordered)
        .serve()
        .await
}

/// Answers in the mention's thread.
async fn mentioned(ctx: Context<Event>) -> HandlerResult {
    let who = ctx.user.as_deref().unwrap_or("somebody");
    ctx.reply(format!("Hello <@{who}>, `/deploy` and `/order` are what I know.")).await?;
    Ok(())
}

/// Slack waits no longer than three seconds, a deploy takes longer: answered at once, then worked on. The message is
/// posted once, even if this process dies on the way and the handler is asked again.
async fn deploy(ctx: Context<Command>) -> HandlerResult {
    let what = if ctx.text.is_empty() { "everything" } else { &ctx.text };
    ctx.ack_with(format!("Deploying {what}."));
    tokio::time::sleep(Duration::from_millis(50)).await;
    ctx.say(format!("{what} is deployed.")).await?;
    Ok(())
}

/// A message with a button.
async fn order(ctx: Context<Command>) -> HandlerResult {
    let button = json!({ "type": "button", "action_id": "order_open", "text": plain("Order") });
    let blocks = vec![json!({ "type": "actions", "elements": [button] })];
    let message = Message { text: Some("Hungry?".into()), blocks: Some(blocks), ..Message::default() };
    ctx.say(message).await?;
    Ok(())
}

/// A modal, while the click is fresh. The channel goes along, for later.
async fn open_form(ctx: Context<Action>) -> HandlerResult {
    let view = json!({
        "type": "modal", "callback_id": "order", "title": plain("A pizza"), "submit": plain("Order"),
        "private_metadata": ctx.channel_id,
        "blocks": [
            { "type": "input", "block_id": "name", "label": plain("For whom?"),
              "element": { "type": "plain_text_input", "action_id": "in" } },
            { "type": "input", "block_id": "topping", "label": plain("With what?"), "optional": true,
              "element": { "type": "external_select", "action_id": "topping", "min_query_length": 1 } },
        ],
    });
    ctx.open_view(&view).await?;
    Ok(())
}

/// What fits what was typed so far.
async fn toppings(ctx: Context<Options>) -> HandlerResult {
    let fitting = ["Basil", "Olives", "Onions"].into_iter().filter(|name| starts_with(name, &ctx.value));
    let options = fitting.map(|name| json!({ "text": plain(name), "value": name.to_lowercase() }));
    ctx.ack_with(json!({ "options": options.collect::<Vec<_>>() }));
    Ok(())
}

/// What was filled in is checked while the person still sees it.
async fn ordered(ctx: Context<View>) -> HandlerResult {
    let name = ctx.value("name", "in").unwrap_or_default();
    if name.chars().count() < 2 {
        let errors = json!({ "name": "Two letters or more, please." });
        ctx.ack_with(json!({ "response_action": "errors", "errors": errors }));
        return Ok(());
    }
    let mut message = Message::from(format!("A pizza for {name}."));
    message.channel = ctx.private_metadata.clone().unwrap_or_default();
    ctx.say(message).await?;
    Ok(())
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text })
}

fn starts_with(name: &str, beginning: &str) -> bool {
    name.to_lowercase().starts_with(&beginning.to_lowercase())
}
