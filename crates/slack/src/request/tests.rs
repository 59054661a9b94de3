use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::TeamId;
use crate::signing::{self, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn verified(content_type: Option<&'static str>, body: impl Into<Bytes>) -> VerifiedRequest {
    let (body, secret) = (body.into(), SigningSecret::new("s").unwrap());
    let mut headers = HeaderMap::new();
    headers.insert(TIMESTAMP_HEADER, HeaderValue::from_static("1000"));
    headers.insert(SIGNATURE_HEADER, HeaderValue::from_str(&secret.sign(1000, &body)).unwrap());
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    signing::verify(&[secret], &headers, body, 1000).unwrap()
}

fn routing(content_type: &'static str, body: impl Into<Bytes>) -> Routing {
    match read(&verified(Some(content_type), body)) {
        Ok(Inbound::Request(routing)) => routing,
        other => panic!("expected a request, got {other:?}"),
    }
}

fn event(json: &Value) -> Routing {
    routing(JSON, json.to_string())
}

fn interaction(json: &Value) -> Routing {
    let form =
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json.to_string()).finish();
    routing(FORM, form)
}

fn unreadable(content_type: Option<&'static str>, body: impl Into<Bytes>) -> Unreadable {
    read(&verified(content_type, body)).unwrap_err()
}

#[test]
fn url_verification_hands_back_the_challenge() {
    let asked = json!({ "type": "url_verification", "challenge": "c-1", "token": "t" }).to_string();
    let challenge = "c-1".to_owned();
    assert_eq!(read(&verified(Some(JSON), asked)), Ok(Inbound::UrlVerification { challenge }));
}

#[test]
fn an_event_belongs_to_its_authorization_not_to_the_team_where_it_occurred() {
    let read = event(&json!({
        "type": "event_callback", "api_app_id": "A1", "event_id": "Ev1",
        "team_id": "T-elsewhere", "enterprise_id": "E-elsewhere", "context_team_id": "T-elsewhere",
        "event": { "type": "message" },
        "authorizations": [{ "enterprise_id": null, "team_id": "T-ours", "is_enterprise_install": false }],
    }));
    assert_eq!(
        (read.kind, read.name.as_str(), read.event_id.as_deref()),
        (Kind::Event, "message", Some("Ev1"))
    );
    assert_eq!(read.origin.places(), ["T-ours"]);
}

#[test]
fn the_outer_team_counts_only_where_no_authorization_exists() {
    for authorizations in [Value::Null, json!([])] {
        let read = event(&json!({
            "type": "event_callback", "api_app_id": "A1", "team_id": "T1", "enterprise_id": "E1",
            "event": { "type": "tokens_revoked" }, "authorizations": authorizations,
        }));
        assert_eq!(read.origin.places(), ["T1", "E1"]);
    }
}

#[test]
fn an_org_wide_authorization_is_looked_up_by_org_alone() {
    for team in [Value::Null, json!("T423567")] {
        let read = event(&json!({
            "type": "event_callback", "api_app_id": "A1", "event": { "type": "message" },
            "authorizations": [{ "enterprise_id": "E1", "team_id": team, "is_enterprise_install": true }],
        }));
        assert_eq!(read.origin.places(), ["E1"]);
    }
}

#[test]
fn app_rate_limited_has_no_inner_event() {
    let read = event(&json!({ "type": "app_rate_limited", "team_id": "T1", "api_app_id": "A1" }));
    assert_eq!((read.kind, read.name.as_str()), (Kind::Event, "app_rate_limited"));
}

#[test]
fn an_unknown_event_type_passes_through() {
    let read = event(&json!({ "type": "event_callback", "team_id": "T1", "event": { "type": "from_2031" } }));
    assert_eq!(read.name, "from_2031");
}

#[test]
fn a_command_is_a_form_whatever_the_charset() {
    for content_type in [FORM, "application/x-www-form-urlencoded; charset=utf-8"] {
        let body = "command=%2Fdeploy&team_id=T1&api_app_id=A1&text=now&response_url=https%3A%2F%2Fh%2F1";
        let read = routing(content_type, body);
        assert_eq!((read.kind, read.name.as_str()), (Kind::Command, "/deploy"));
        assert_eq!(read.origin.places(), ["T1"]);
        let header = HeaderValue::from_static(content_type);
        assert_eq!(response_url(Some(&header), body.as_bytes()).as_deref(), Some("https://h/1"));
    }
}

#[test]
fn a_command_says_org_install_with_a_word() {
    let read = routing(FORM, "command=%2Fx&team_id=T1&enterprise_id=E1&is_enterprise_install=true");
    assert_eq!(read.origin.places(), ["E1"]);
    let read = routing(FORM, "command=%2Fx&team_id=T1&enterprise_id=E1&is_enterprise_install=false");
    assert_eq!(read.origin.places(), ["T1", "E1"]);
}

#[test]
fn every_interaction_has_its_kind_and_name() {
    let cases = [
        (json!({ "type": "block_actions", "actions": [{ "action_id": "n" }] }), Kind::BlockAction),
        (json!({ "type": "shortcut", "callback_id": "n" }), Kind::Shortcut),
        (json!({ "type": "message_action", "callback_id": "n" }), Kind::MessageAction),
        (json!({ "type": "view_submission", "view": { "callback_id": "n" } }), Kind::ViewSubmission),
        (json!({ "type": "view_closed", "view": { "callback_id": "n" } }), Kind::ViewClosed),
        (json!({ "type": "block_suggestion", "action_id": "n" }), Kind::BlockSuggestion),
        (json!({ "type": "interactive_message", "callback_id": "n" }), Kind::InteractiveMessage),
        (json!({ "type": "dialog_submission", "callback_id": "n" }), Kind::DialogSubmission),
        (json!({ "type": "dialog_cancellation", "callback_id": "n" }), Kind::DialogCancellation),
        (json!({ "type": "dialog_suggestion", "callback_id": "n" }), Kind::DialogSuggestion),
        (json!({ "type": "n" }), Kind::Interaction),
    ];
    for (payload, kind) in cases {
        let read = interaction(&payload);
        assert_eq!((read.kind, read.name.as_str()), (kind, "n"));
    }
}

#[test]
fn a_click_by_somebody_from_another_workspace_is_for_the_apps_workspace() {
    let read = interaction(&json!({
        "type": "block_actions", "api_app_id": "A1", "team": { "id": "T-ours" }, "user": { "team_id": "T-other" },
    }));
    assert_eq!(read.origin.places(), ["T-ours"]);
}

#[test]
fn a_modal_says_itself_where_its_app_is_installed() {
    let read = interaction(&json!({
        "type": "view_submission", "api_app_id": "A1",
        "team": { "id": "T-other", "enterprise_id": "E-other" }, "user": { "team_id": "T-other" },
        "enterprise": { "id": "E-other" }, "is_enterprise_install": false,
        "view": { "team_id": "T-other", "app_installed_team_id": "T-ours" },
    }));
    assert_eq!(read.origin.places(), ["T-ours"], "nothing of the submitter's org");
}

#[test]
fn a_modal_of_an_org_install_may_name_the_org_in_the_teams_place() {
    let read = interaction(&json!({
        "type": "view_submission", "team": null, "user": { "team_id": "T1" },
        "enterprise": { "id": "E1" }, "is_enterprise_install": true,
        "view": { "app_installed_team_id": "E1" },
    }));
    assert_eq!(read.origin.places(), ["E1"]);
}

#[test]
fn a_modal_of_an_org_install_is_the_orgs_whichever_of_its_workspaces_it_was_closed_in() {
    let closed = |team: Value, wide: bool| {
        interaction(&json!({
            "type": "view_closed", "api_app_id": "A1", "team": team, "user": { "team_id": "T-second" },
            "enterprise": { "id": "E1" }, "is_enterprise_install": wide,
            "view": { "team_id": "T-first", "app_installed_team_id": "T-first" },
        }))
    };
    let within = closed(Value::Null, true).origin;
    assert_eq!(
        (within.places(), within.granted.clone()),
        (vec!["E1"], Some(TeamId::new("T-first"))),
        "if the org granted it"
    );
    let elsewhere = json!({ "id": "T-second", "enterprise_id": "E1" });
    assert_eq!(closed(elsewhere, false).origin.places(), ["T-first"], "somebody else's org");
}

#[test]
fn an_org_install_without_team_is_looked_up_by_org() {
    let read = interaction(&json!({
        "type": "shortcut", "team": null, "user": { "team_id": "T1" },
        "enterprise": { "id": "E1" }, "is_enterprise_install": "true",
    }));
    assert_eq!(read.origin.places(), ["E1"]);
}

#[test]
fn what_cannot_be_read_is_said_so() {
    assert_eq!(unreadable(Some(JSON), "[1]"), Unreadable::NotAnObject);
    assert_eq!(unreadable(Some(JSON), "\"text\""), Unreadable::NotAnObject);
    assert_eq!(unreadable(Some(JSON), "{"), Unreadable::NotJson);
    assert_eq!(unreadable(Some(JSON), ""), Unreadable::NotJson);
    assert_eq!(unreadable(Some(JSON), &b"{\"type\":\"\xff\"}"[..]), Unreadable::NotJson);
    assert_eq!(unreadable(Some(JSON), "{}"), Unreadable::NoType);
    assert_eq!(unreadable(Some(JSON), "{\"type\":7}"), Unreadable::NoType);
    assert_eq!(unreadable(Some(JSON), "{\"type\":\"url_verification\"}"), Unreadable::NoChallenge);
    assert_eq!(unreadable(Some(FORM), "a=b"), Unreadable::UnknownForm);
    assert_eq!(unreadable(Some(FORM), "payload=%7B"), Unreadable::NotJson);
    assert_eq!(unreadable(Some(FORM), "payload=%5B%5D"), Unreadable::NotAnObject);
    assert_eq!(unreadable(Some(FORM), "payload=%7B%7D&payload=%7B%7D"), Unreadable::Repeated);
    assert_eq!(unreadable(Some(FORM), "command=%2Fa&command=%2Fb"), Unreadable::Repeated);
    assert_eq!(unreadable(None, "hello"), Unreadable::UnknownForm);
}

#[test]
fn fields_of_unexpected_types_are_passed_over() {
    let read = event(&json!({ "type": "event_callback", "team_id": 7, "event": [], "authorizations": "no" }));
    assert_eq!(read.origin.places(), [""; 0]);
    assert_eq!(read.name, "event_callback");
}

#[test]
fn hostile_names_are_bounded_and_printable() {
    let long = "x".repeat(10_000);
    let read = event(&json!({ "type": "event_callback", "event": { "type": format!("a\u{0}b\n{long}") } }));
    assert_eq!(read.name.chars().count(), 255);
    assert!(read.name.starts_with("a\u{fffd}b\u{fffd}x"));
}

#[test]
fn ssl_check_is_exactly_one() {
    let form = HeaderValue::from_static(FORM);
    let check = |body: &str| is_ssl_check(Some(&form), body.as_bytes());
    assert!(check("ssl_check=1&token=x"));
    assert!(check("ssl_check=1&payload=%7B%7D"), "the rest is not looked at");
    assert!(!check("ssl_check=0"));
    assert!(!check("ssl_check=true"));
    assert!(!check("ssl_check=11"));
    assert!(!check("ssl_check=1&ssl_check=0"));
    assert!(!check("text=ssl_check%3D1"));
    assert!(!is_ssl_check(Some(&HeaderValue::from_static(JSON)), b"ssl_check=1"));
}

fn submission(blocks: &Value) -> String {
    let payload = json!({ "type": "view_submission", "view": {
        "id": "V1", "type": "modal", "callback_id": "c", "private_metadata": "m", "hash": "h", "team_id": "T1",
        "title": { "type": "plain_text", "text": "Order" }, "submit": null, "blocks": blocks,
    }});
    form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
}

fn fallback_of(kind: Kind, body: &str) -> Option<Value> {
    fallback(kind, "/x", Some(&HeaderValue::from_static(FORM)), body.as_bytes(), Shortfall::Pending)
}

#[test]
fn a_modals_fallback_stands_beside_its_first_input() {
    let body = submission(
        &json!([{ "type": "section" }, { "type": "input", "block_id": "b1" }, { "type": "input", "block_id": "b2" }]),
    );
    let said = fallback_of(Kind::ViewSubmission, &body).unwrap();
    assert_eq!(said["response_action"], "errors");
    assert_eq!(said["errors"].as_object().unwrap().keys().collect::<Vec<_>>(), ["b1"]);
}

#[test]
fn a_modal_without_inputs_comes_back_with_a_note() {
    let said = fallback_of(Kind::ViewSubmission, &submission(&json!([{ "type": "divider" }]))).unwrap();
    assert_eq!(said["response_action"], "update");
    let view = &said["view"];
    assert_eq!(view["blocks"].as_array().unwrap().len(), 2);
    assert_eq!(view["private_metadata"], "m");
    assert!(view.get("id").is_none() && view.get("hash").is_none() && view.get("submit").is_none(), "{view}");
}

#[test]
fn other_fallbacks_are_of_the_kinds_own_shape() {
    let said = fallback_of(Kind::Command, "").unwrap();
    assert_eq!(said, json!({ "response_type": "ephemeral", "text": "Still working on it …" }));
    assert_eq!(fallback_of(Kind::BlockSuggestion, ""), Some(json!({ "options": [] })));
    assert_eq!(fallback_of(Kind::Event, ""), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..400), form in any::<bool>()) {
        let content_type = if form { FORM } else { JSON };
        let _ = read(&verified(Some(content_type), body.clone()));
        let header = HeaderValue::from_static(content_type);
        for kind in Kind::ALL {
            let _ = fallback(*kind, "/x", Some(&header), &body, Shortfall::Failed);
        }
    }

    #[test]
    fn an_installation_is_never_read_from_the_outer_team_beside_an_authorization(
        outer in "T[A-Z0-9]{3,8}", ours in prop::option::of("T[A-Z0-9]{3,8}"), org in prop::option::of("E[A-Z0-9]{3,8}"), wide in any::<bool>(),
    ) {
        prop_assume!(ours.as_ref() != Some(&outer));
        let read = event(&json!({
            "type": "event_callback", "team_id": outer, "event": { "type": "message" },
            "authorizations": [{ "enterprise_id": org, "team_id": ours, "is_enterprise_install": wide }],
        }));
        prop_assert!(!read.origin.places().contains(&outer.as_str()));
    }
}

#[test]
fn what_routing_does_not_look_at_may_be_whatever_json_allows() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for odd in [r#""\ud800""#, "1e999", "-1e-999", deep.as_str()] {
        let read = routing(
            JSON,
            format!(r#"{{"type":"event_callback","event":{{"type":"message","text":{odd}}},"more":{odd}}}"#),
        );
        assert_eq!((read.kind, read.name.as_str()), (Kind::Event, "message"), "{odd:.20}");
    }
    for broken in ["\"\u{1}\"", "tru", "1e", "[1,]", "\"\\x\""] {
        let json = format!(r#"{{"type":"event_callback","event":{{"type":"message","text":{broken}}}}}"#);
        assert_eq!(unreadable(Some(JSON), json), Unreadable::NotJson, "{broken}");
    }
    let not_utf8 = [br#"{"type":"event_callback","more":""#.as_slice(), b"\xff", br#""}"#].concat();
    assert_eq!(unreadable(Some(JSON), not_utf8), Unreadable::NotJson);
}

proptest! {
    /// The outline and the whole payload tell the same of every field that is looked at.
    #[test]
    fn an_outline_says_what_the_payload_says(json in payload()) {
        let outline = outline::read(json.to_string().as_bytes()).unwrap();
        for pointer in [
            "/type", "/challenge", "/api_app_id", "/team_id", "/enterprise_id", "/event_id", "/event/type",
            "/authorizations/0/team_id", "/authorizations/0/enterprise_id", "/team/id", "/team/enterprise_id",
            "/enterprise/id", "/user/team_id", "/view/app_id", "/view/app_installed_team_id", "/view/callback_id",
            "/callback_id", "/action_id", "/actions/0/action_id",
        ] {
            prop_assert_eq!(text(&outline, pointer), text(&json, pointer), "{}", pointer);
        }
        prop_assert_eq!(Origin::of_event(&outline), Origin::of_event(&json));
        prop_assert_eq!(Origin::of_interaction(&outline), Origin::of_interaction(&json));
    }
}

/// Objects of the fields that are looked at and of others, of whatever type.
fn payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[TEA][0-9]{0,3}|true|\\PC{0,5}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 32, 8, |inner| {
        prop_oneof![object(inner.clone()), proptest::collection::vec(inner, 0..3).prop_map(Value::from)]
    });
    object(value)
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let field = proptest::sample::select(vec![
        "type",
        "api_app_id",
        "app_id",
        "authorizations",
        "team_id",
        "enterprise_id",
        "is_enterprise_install",
        "team",
        "enterprise",
        "user",
        "id",
        "event_id",
        "event",
        "view",
        "app_installed_team_id",
        "callback_id",
        "actions",
        "action_id",
        "challenge",
        "text",
        "blocks",
    ]);
    let fields = proptest::collection::vec((field.prop_map(str::to_owned), value), 0..8);
    fields.prop_map(|fields| fields.into_iter().collect())
}
