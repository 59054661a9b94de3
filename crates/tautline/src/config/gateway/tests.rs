use super::*;

const KEY: &str = "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn read(pairs: &[(&str, &str)]) -> GatewayConfig {
    GatewayConfig::read(&Environment::of(pairs.iter().copied())).unwrap()
}

fn wrong(pairs: &[(&str, &str)]) -> String {
    GatewayConfig::read(&Environment::of(pairs.iter().copied())).unwrap_err().to_string()
}

#[test]
fn nothing_is_needed_to_start_and_what_is_off_says_what_to_set() {
    let config = read(&[]);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.settings.public_url.as_str(), "http://localhost:8080/");
    assert_eq!(config.settings.redirect_uri.path(), CALLBACK_PATH);
    assert_eq!(config.settings.bot_scopes.len(), 15);
    let off = config.off.iter().map(|off| off.what).collect::<Vec<_>>();
    assert_eq!(off, ["inbound", "connect", "dispatch", "the API"]);
}

#[test]
fn a_signing_secret_without_client_id_is_a_single_workspace() {
    assert!(read(&[("SLACK_SIGNING_SECRET", "s")]).settings.single_workspace);
    let with_client = [("SLACK_SIGNING_SECRET", "s"), ("SLACK_CLIENT_ID", "1")];
    assert!(!read(&with_client).settings.single_workspace);
    assert!(!read(&[]).settings.single_workspace);
}

#[test]
fn secrets_roll_over_in_a_list() {
    assert_eq!(read(&[("SLACK_SIGNING_SECRET", "new, old,")]).settings.signing_secrets.len(), 2);
}

#[test]
fn oauth_wants_both_halves_and_an_encryption_key() {
    let on = [("SLACK_CLIENT_ID", "1"), ("SLACK_CLIENT_SECRET", "s"), ("TAUTLINE_ENCRYPTION_KEYS", KEY)];
    assert!(matches!(read(&on).settings.oauth, OAuth::On(_)));
    for (missing, named) in
        [(0, "SLACK_CLIENT_ID"), (1, "SLACK_CLIENT_SECRET"), (2, "TAUTLINE_ENCRYPTION_KEYS")]
    {
        let mut some = on.to_vec();
        some.remove(missing);
        match read(&some).settings.oauth {
            OAuth::Off { fix } => assert!(fix.contains(named), "{fix}"),
            OAuth::On(_) => panic!("on without {named}"),
        }
    }
}

#[test]
fn everything_wrong_is_said_at_once_and_no_value_repeated() {
    let said = wrong(&[
        ("TAUTLINE_LISTEN", "everywhere"),
        ("TAUTLINE_ADMIN_KEY", "too-short-secret"),
        ("TAUTLINE_DATABASE_URL", "mysql://user:secret@host/db"),
        ("TAUTLINE_PUBLIC_URL", "ftp://x"),
        ("SLACK_REDIRECT_URI", "https://gateway.example.com/"),
        ("TAUTLINE_COMMIT_BUDGET_MS", "60000"),
        ("TAUTLINE_ENCRYPTION_KEYS", "k:c2hvcnQ="),
        ("TAUTLINE_FORWARD_URL", "http://127.0.0.1:1/"),
        ("TAUTLINE_RETURN_ORIGINS", "https://app.example.com,not an origin"),
    ]);
    for name in [
        "TAUTLINE_LISTEN",
        "TAUTLINE_ADMIN_KEY",
        "TAUTLINE_DATABASE_URL",
        "TAUTLINE_PUBLIC_URL",
        "SLACK_REDIRECT_URI",
        "TAUTLINE_COMMIT_BUDGET_MS",
        "TAUTLINE_ENCRYPTION_KEYS",
        "TAUTLINE_FORWARD_SECRET",
        "TAUTLINE_RETURN_ORIGINS",
    ] {
        assert!(said.contains(name), "{said}");
    }
    assert!(!said.contains("secret@") && !said.contains("too-short"), "{said}");
}

#[test]
fn debug_output_shows_no_secret() {
    let config = read(&[
        ("SLACK_CLIENT_ID", "1"),
        ("SLACK_CLIENT_SECRET", "hush-client"),
        ("SLACK_SIGNING_SECRET", "hush-signing"),
        ("SLACK_BOT_TOKEN", "hush-token"),
        ("TAUTLINE_ENCRYPTION_KEYS", KEY),
        ("TAUTLINE_FORWARD_URL", "http://127.0.0.1:1/"),
        ("TAUTLINE_FORWARD_SECRET", "hush-forward"),
    ]);
    let shown = format!("{config:?}");
    assert!(!shown.contains("hush") && !shown.contains("AAAA"), "{shown}");
}

#[test]
fn a_database_is_a_plain_file() {
    for path in [":memory:", "file::memory:?cache=shared", "x.db?mode=ro", ""] {
        let said = wrong(&[("TAUTLINE_DATABASE_URL", &format!("sqlite://{path}"))]);
        assert!(said.contains("TAUTLINE_DATABASE_URL"), "{path}: {said}");
    }
    let config = read(&[("TAUTLINE_DATABASE_URL", "sqlite:///var/lib/tautline/t.db")]);
    assert!(matches!(config.database, Database::Sqlite(path) if path == Path::new("/var/lib/tautline/t.db")));
}

#[test]
fn a_redirect_uri_that_is_no_plain_path_is_refused() {
    for path in ["/", "/a/:b", "//a", "/*"] {
        let said = wrong(&[("SLACK_REDIRECT_URI", &format!("https://gateway.example.com{path}"))]);
        assert!(said.contains("SLACK_REDIRECT_URI"), "{path}: {said}");
    }
}

#[test]
fn an_issuer_is_taken_letter_by_letter_and_only_over_tls() {
    let issuer = read(&[
        ("TAUTLINE_AUTH_ISSUER", "https://clerk.example.com"),
        ("TAUTLINE_AUTH_PARTIES", "https://app.example.com, https://admin.example.com"),
        ("TAUTLINE_AUTH_PROVISION", "1"),
    ]);
    let issuer = issuer.settings.issuer.unwrap();
    assert_eq!(issuer.issuer, "https://clerk.example.com", "without a slash that its tokens do not have");
    assert_eq!((issuer.parties.len(), issuer.audience.len(), issuer.provision), (2, 0, true));
    assert!(wrong(&[("TAUTLINE_AUTH_ISSUER", "http://clerk.example.com")]).contains("not https"));
    assert!(read(&[("TAUTLINE_AUTH_ISSUER", "http://localhost:9000")]).settings.issuer.is_some());
    assert!(wrong(&[("TAUTLINE_AUTH_PROVISION", "yes")]).contains("neither 0 nor 1"));
    assert!(read(&[]).settings.issuer.is_none());
}

#[test]
fn trusted_proxies_are_addresses_and_networks() {
    let trusted = read(&[("TAUTLINE_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7,2001:db8::/32")]);
    assert_eq!(trusted.settings.trusted_proxies.len(), 3);
    assert!(wrong(&[("TAUTLINE_TRUSTED_PROXIES", "proxy.internal")]).contains("proxy.internal"));
}
