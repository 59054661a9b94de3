//! Installations and their tokens.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use tautline_core::installation::{
    Credential, CredentialKind, Facts, Health, Installation, Installed, Moved, NewInstallation, Only,
};
use tautline_core::parked::Parked;
use tautline_core::{InstallationId, SecretHash, SystemRng, TenantId};
use tautline_slack::request::Origin;
use tautline_slack::{AppId, EnterpriseId, TeamId, Token};

use crate::scene::{NOW, Scene, later, page};

pub fn new(
    tenant: &TenantId,
    app: &str,
    team: Option<&str>,
    org: Option<&str>,
    token: &str,
) -> NewInstallation {
    let bot = Credential {
        kind: CredentialKind::Bot,
        token: Token::new(token),
        refresh_token: Some(Token::new("xoxe-1-refresh")),
        expires_at: Some(later(43_200)),
    };
    NewInstallation {
        id: InstallationId::generate(NOW, &SystemRng),
        tenant: tenant.clone(),
        facts: Facts {
            app: AppId::new(app),
            team: team.map(TeamId::new),
            team_name: team.map(|_| "Team".into()),
            enterprise: org.map(EnterpriseId::new),
            enterprise_name: None,
            is_enterprise_install: team.is_none(),
            scopes: vec!["commands".into()],
            bot_user_id: Some("U1".into()),
            bot_id: Some("B1".into()),
        },
        credentials: vec![bot],
        link: None,
        is_shared: false,
    }
}

pub async fn store(scene: &Scene, new: NewInstallation) -> Installation {
    match scene.store.installation_store(new, NOW).await.unwrap() {
        Installed::Done(installation) => *installation,
        other => panic!("{other:?}"),
    }
}

async fn token(scene: &Scene, tenant: &TenantId, id: InstallationId) -> Option<String> {
    let token = scene.store.installation_token(tenant, id, CredentialKind::Bot).await.unwrap();
    token.map(|live| live.token.expose().to_owned())
}

/// Which token the bot has.
pub async fn generation(scene: &Scene, id: InstallationId) -> i64 {
    let live = scene.store.installation_token(&scene.acme, id, CredentialKind::Bot).await.unwrap();
    live.expect("there is one").generation
}

/// An installation of a tenant's, made just now.
pub async fn connected(scene: &Scene, tenant: &TenantId) -> InstallationId {
    store(scene, new(tenant, "A1", Some("T1"), None, "xoxb-1")).await.id
}

pub async fn what_ended_is_removed_unless_it_was_made_anew(scene: &Scene) {
    let id = connected(scene, &scene.acme).await;
    let removed =
        async |tenant, at| scene.store.installation_remove(tenant, id, at, later(60)).await.unwrap();
    assert!(!removed(&scene.globex, later(1)).await, "another tenant's");
    assert!(!removed(&scene.acme, NOW.before(Duration::from_micros(1))).await, "the news is older than it");
    assert!(token(scene, &scene.acme, id).await.is_some());
    assert!(removed(&scene.acme, NOW).await);
    assert!(!removed(&scene.acme, NOW).await, "once");
    assert_eq!(token(scene, &scene.acme, id).await, None);
    assert_eq!(scene.store.installation_at(&scene.acme, "T1").await.unwrap(), None);
    assert!(scene.store.installations(&scene.acme, page(9, None)).await.unwrap().items.is_empty());
    let named = async || scene.store.installation_named(&origin("T1")).await.unwrap();
    assert_eq!(named().await.unwrap().id, id, "what Slack still has to say of it is acme's");
    let again = store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-1")).await;
    assert_eq!(again.id, id, "connected anew, it is the same");
    assert!(removed(&scene.acme, NOW).await);
    let other = store(scene, new(&scene.globex, "A1", Some("T1"), None, "xoxb-2")).await;
    assert_eq!(other.tenant, scene.globex, "and the workspace is free");
    assert_eq!(named().await.unwrap().id, other.id);
    assert!(removed(&scene.acme, NOW).await.eq(&false), "what was acme's is gone");
    assert!(scene.store.installation_remove(&scene.globex, other.id, NOW, later(60)).await.unwrap());
    while scene.store.forget(later(60 + 86_400)).await.unwrap().more {}
    assert!(named().await.is_some(), "a day");
    while scene.store.forget(later(61 + 86_400)).await.unwrap().more {}
    assert!(named().await.is_none());
}

pub async fn the_only_one_is_meant_while_there_is_no_other(scene: &Scene) {
    let only = async |tenant| match scene.store.installation_only(tenant).await.unwrap() {
        Only::This(installation) => Ok(installation.id),
        Only::None => Err("none"),
        Only::Several => Err("several"),
    };
    assert_eq!(only(&scene.acme).await, Err("none"));
    let first = store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-1")).await.id;
    let other = store(scene, new(&scene.globex, "A1", Some("T2"), None, "xoxb-2")).await.id;
    assert_eq!(tokio::join!(only(&scene.globex), only(&scene.acme)), (Ok(other), Ok(first)));
    for (team, said) in [("T3", "two"), ("T4", "three")] {
        store(scene, new(&scene.acme, "A1", Some(team), None, "xoxb-3")).await;
        assert_eq!(only(&scene.acme).await, Err("several"), "{said}");
    }
    for place in ["T3", "T4"] {
        let ended = scene.store.installation_at(&scene.acme, place).await.unwrap().unwrap().id;
        assert!(scene.store.installation_remove(&scene.acme, ended, NOW, later(60)).await.unwrap());
    }
    assert_eq!(only(&scene.acme).await, Ok(first), "what ended counts for nothing");
}

fn origin(team: &str) -> Origin {
    Origin { app: Some(AppId::new("A1")), team: Some(TeamId::new(team)), ..Origin::default() }
}

pub async fn an_org_counts_for_the_workspaces_it_was_granted(scene: &Scene) {
    let id = store(scene, new(&scene.acme, "A1", None, Some("E1"), "xoxb-1")).await.id;
    let used_in = |team: &str| Origin {
        app: Some(AppId::new("A1")),
        enterprise: Some(EnterpriseId::new("E1")),
        is_enterprise_install: true,
        granted: Some(TeamId::new(team)),
        ..Origin::default()
    };
    let named = async |team| scene.store.installation_named(&used_in(team)).await.unwrap();
    assert!(named("T1").await.is_none(), "perhaps a stranger's org");
    scene.store.installation_granted(&scene.acme, id, &[TeamId::new("T1")], &[]).await.unwrap();
    assert_eq!(named("T1").await.unwrap().id, id);
    assert!(named("T2").await.is_none());
}

pub async fn what_ended_hides_nothing_that_lives(scene: &Scene) {
    let ended = store(scene, new(&scene.acme, "A1", Some("T1"), Some("E1"), "xoxb-1")).await.id;
    let org = store(scene, new(&scene.globex, "A1", None, Some("E1"), "xoxb-2")).await.id;
    let origin = Origin { enterprise: Some(EnterpriseId::new("E1")), ..origin("T1") };
    let named = async || scene.store.installation_named(&origin).await.unwrap().unwrap().id;
    assert_eq!(named().await, ended);
    assert!(scene.store.installation_remove(&scene.acme, ended, NOW, later(60)).await.unwrap());
    assert_eq!(named().await, org);
}

pub async fn one_credential_goes_alone(scene: &Scene) {
    let mut with_user = new(&scene.acme, "A1", Some("T1"), None, "xoxb-1");
    let user = Credential {
        kind: CredentialKind::User,
        token: Token::new("xoxp-1"),
        refresh_token: None,
        expires_at: None,
    };
    with_user.credentials.push(user);
    let id = store(scene, with_user).await.id;
    let removed =
        async |tenant, at| scene.store.credential_remove(tenant, id, CredentialKind::User, at).await.unwrap();
    assert!(!removed(&scene.globex, later(1)).await);
    assert!(!removed(&scene.acme, NOW.before(Duration::from_secs(1))).await);
    assert!(removed(&scene.acme, NOW).await);
    let user = scene.store.installation_token(&scene.acme, id, CredentialKind::User).await.unwrap();
    assert!(user.is_none());
    assert!(token(scene, &scene.acme, id).await.is_some(), "the bot's stays");
}

pub async fn one_that_slack_refuses_is_broken_until_it_is_made_anew(scene: &Scene) {
    let id = store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-1")).await.id;
    let generation = generation(scene, id).await;
    let broken = async |tenant, generation| {
        scene.store.installation_broken(tenant, id, generation, "token_revoked", later(9)).await.unwrap()
    };
    assert!(!broken(&scene.globex, generation).await, "another tenant's");
    assert!(!broken(&scene.acme, generation - 1).await, "it has another token since");
    let said = [broken(&scene.acme, generation).await, broken(&scene.acme, generation).await];
    assert_eq!(said, [true, false], "said once");
    let listed =
        async || scene.store.installations(&scene.acme, page(9, None)).await.unwrap().items.remove(0);
    assert_eq!(listed().await.health, Health::Broken);
    store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-2")).await;
    assert_eq!(listed().await.health, Health::Connected);
}

pub async fn a_moved_one_takes_its_tokens_along(scene: &Scene) {
    let mut with_user = new(&scene.acme, "A1", Some("T1"), None, "xoxb-1");
    let user = Credential {
        kind: CredentialKind::User,
        token: Token::new("xoxp-1"),
        ..with_user.credentials[0].clone()
    };
    with_user.credentials.push(user);
    let id = store(scene, with_user).await.id;
    let new_id = InstallationId::generate(NOW, &SystemRng);
    let moved = async |id, to| scene.store.installation_move(id, to, new_id, later(60)).await.unwrap();
    assert!(matches!(moved(new_id, &scene.globex).await, Moved::Unknown));
    assert!(matches!(moved(id, &scene.acme).await, Moved::Already));
    let Moved::Done { from, installation } = moved(id, &scene.globex).await else { panic!("it moves") };
    assert_eq!((from, installation.id, &installation.tenant), (scene.acme.clone(), new_id, &scene.globex));
    assert_eq!(scene.store.installation_at(&scene.acme, "T1").await.unwrap(), None);
    assert_eq!(token(scene, &scene.acme, id).await, None, "nothing stays behind");
    for (kind, expected) in [(CredentialKind::Bot, "xoxb-1"), (CredentialKind::User, "xoxp-1")] {
        let live = scene.store.installation_token(&scene.globex, new_id, kind).await.unwrap().unwrap();
        assert_eq!(live.token.expose(), expected);
    }
    assert_eq!(scene.store.installation_named(&origin("T1")).await.unwrap().unwrap().id, new_id);
    let due = scene.store.refresh_claim(later(36_000), later(36_015), 9).await.unwrap();
    assert!(
        due.len() == 2 && due.iter().all(|due| due.tenant == scene.globex),
        "and are renewed for it: {due:?}"
    );
    assert!(matches!(moved(id, &scene.acme).await, Moved::Unknown), "the old name is no name any more");
}

pub async fn what_is_parked_waits_for_its_secret_and_for_half_an_hour(scene: &Scene) {
    let id = InstallationId::generate(NOW, &SystemRng);
    let parked = Parked { id, answers: b"{\"access_token\":\"xoxb-1\"}".to_vec().into() };
    let secret = SecretHash::of("secret");
    scene.store.install_park(parked, secret, later(1800), NOW).await.unwrap();
    let found = async |secret: &str, at| {
        let found = scene.store.install_parked(SecretHash::of(secret), later(at)).await.unwrap();
        found.map(|found| (found.id, found.answers.expose_secret().len()))
    };
    assert_eq!(found("secret", 1799).await, Some((id, 25)));
    assert_eq!(found("guess", 0).await, None);
    assert_eq!(found("secret", 1800).await, None);
    scene.store.install_unpark(id).await.unwrap();
    assert_eq!(found("secret", 0).await, None);
}

pub async fn workspaces_of_an_org_come_and_go(scene: &Scene) {
    let id = store(scene, new(&scene.acme, "A1", None, Some("E1"), "xoxb-1")).await.id;
    let teams = |names: &[&str]| names.iter().map(|name| TeamId::new(*name)).collect::<Vec<_>>();
    let stands = async || scene.store.installation_at(&scene.acme, "E1").await.unwrap().unwrap();
    assert!(stands().await.granted_teams.is_empty(), "an org's installation begins with none");
    let (granted, revoked) = (teams(&["T2", "T1", "T2"]), teams(&[]));
    scene.store.installation_granted(&scene.acme, id, &granted, &revoked).await.unwrap();
    assert_eq!(stands().await.granted_teams, teams(&["T1", "T2"]));
    scene.store.installation_granted(&scene.globex, id, &teams(&["T9"]), &revoked).await.unwrap();
    scene.store.installation_granted(&scene.acme, id, &revoked, &teams(&["T1"])).await.unwrap();
    assert_eq!(stands().await.granted_teams, teams(&["T2"]));
    assert_eq!(stands().await.rate_limited_at, None);
    scene.store.installation_limited(&scene.acme, id, later(60)).await.unwrap();
    assert_eq!(stands().await.rate_limited_at, Some(later(60)));
    let anew = store(scene, new(&scene.acme, "A1", None, Some("E1"), "xoxb-2")).await;
    assert_eq!((anew.id, &anew.granted_teams), (id, &teams(&["T2"])), "a re-install changes nothing of it");
}

pub async fn two_tenants_connecting_one_workspace_at_once(scene: &Scene) {
    let tries = [&scene.acme, &scene.globex].map(|tenant| {
        let (store, new) = (scene.store.clone(), new(tenant, "A1", Some("T1"), None, "xoxb-1"));
        tokio::spawn(async move { store.installation_store(new, NOW).await.unwrap() })
    });
    let mut owners = Vec::new();
    for tried in tries {
        match tried.await.unwrap() {
            Installed::Done(installation) => owners.push((installation.tenant, "done")),
            Installed::BelongsToAnother { tenant } => owners.push((tenant, "belongs to")),
            Installed::LinkUsed => panic!("no link was used"),
        }
    }
    let done = owners.iter().find(|(_, what)| *what == "done").expect("one wins");
    assert!(owners.iter().any(|(tenant, what)| *what == "belongs to" && *tenant == done.0), "{owners:?}");
    let mut listed = 0;
    for tenant in [&scene.acme, &scene.globex] {
        listed += scene.store.installations(tenant, page(10, None)).await.unwrap().items.len();
    }
    assert_eq!(listed, 1);
}

pub async fn a_re_install_keeps_the_id_and_replaces_the_token(scene: &Scene) {
    let first = store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-1")).await;
    let again = NewInstallation { credentials: vec![], ..new(&scene.acme, "A1", Some("T1"), None, "") };
    let second = store(scene, again).await;
    assert_eq!((second.id, second.installed_at), (first.id, NOW));
    assert_eq!(token(scene, &scene.acme, first.id).await, None, "what was not granted again is gone");
    store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-2")).await;
    assert_eq!(token(scene, &scene.acme, first.id).await.as_deref(), Some("xoxb-2"));
    assert_eq!(scene.store.installations(&scene.acme, page(10, None)).await.unwrap().items.len(), 1);
}

pub async fn an_installation_is_found_by_team_then_by_org(scene: &Scene) {
    let team = store(scene, new(&scene.acme, "A1", Some("T1"), Some("E1"), "xoxb-1")).await;
    let org = store(scene, new(&scene.globex, "A1", None, Some("E1"), "xoxb-2")).await;
    let found = async |team: Option<&str>, org_wide: bool| {
        let origin = Origin {
            app: Some(AppId::new("A1")),
            team: team.map(TeamId::new),
            enterprise: Some(EnterpriseId::new("E1")),
            is_enterprise_install: org_wide,
            granted: None,
        };
        scene.store.installation_named(&origin).await.unwrap().map(|installation| installation.id)
    };
    assert_eq!(found(Some("T1"), false).await, Some(team.id));
    assert_eq!(found(Some("T1"), true).await, Some(org.id), "Slack says org-wide");
    assert_eq!(found(None, false).await, Some(org.id), "Slack names no team");
    assert_eq!(found(Some("T2"), false).await, Some(org.id), "another workspace of the org");
    let elsewhere =
        Origin { team: Some(TeamId::new("T2")), app: Some(AppId::new("A1")), ..Origin::default() };
    assert!(scene.store.installation_named(&elsewhere).await.unwrap().is_none());
    let other_app =
        Origin { team: Some(TeamId::new("T1")), app: Some(AppId::new("A2")), ..Origin::default() };
    assert!(scene.store.installation_named(&other_app).await.unwrap().is_none());
}

pub async fn without_an_app_the_place_must_be_unambiguous(scene: &Scene) {
    let origin = Origin { team: Some(TeamId::new("T1")), ..Origin::default() };
    let only = store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-1")).await;
    assert_eq!(scene.store.installation_named(&origin).await.unwrap().map(|found| found.id), Some(only.id));
    store(scene, new(&scene.globex, "A2", Some("T1"), None, "xoxb-2")).await;
    assert!(scene.store.installation_named(&origin).await.unwrap().is_none(), "whose would it be?");
    let own = scene.store.installation_at(&scene.acme, "T1").await.unwrap();
    assert_eq!(own.map(|found| found.id), Some(only.id), "a tenant's own is never in doubt");
    assert!(scene.store.installation_at(&scene.acme, "T2").await.unwrap().is_none());
}

/// Looked up for every request, so a store may remember: never longer than it holds.
pub async fn what_was_found_before_is_as_it_is_now(scene: &Scene) {
    let origin = Origin { team: Some(TeamId::new("T1")), app: Some(AppId::new("A1")), ..Origin::default() };
    let found = async || scene.store.installation_named(&origin).await.unwrap();
    let scopes = async || found().await.map(|found| found.facts.scopes.clone());
    assert_eq!(scopes().await, None);
    let mut granted = new(&scene.acme, "A1", Some("T1"), None, "xoxb-1");
    store(scene, granted.clone()).await;
    assert_eq!(scopes().await, Some(vec!["commands".into()]));
    granted.facts.scopes.push("chat:write".into());
    store(scene, granted).await;
    assert_eq!(scopes().await, Some(vec!["commands".into(), "chat:write".into()]), "connected again");
    while !scene.store.tenant_erase(&scene.acme).await.unwrap().is_done {}
    assert_eq!(scopes().await, None, "the tenant was erased");
}

pub async fn another_tenant_gets_no_token(scene: &Scene) {
    let id = store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-1")).await.id;
    assert_eq!(token(scene, &scene.acme, id).await.as_deref(), Some("xoxb-1"));
    assert_eq!(token(scene, &scene.globex, id).await, None);
    assert!(scene.store.installations(&scene.globex, page(10, None)).await.unwrap().items.is_empty());
}
