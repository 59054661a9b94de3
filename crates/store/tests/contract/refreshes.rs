//! Renewing tokens: who may, when, and what is left of it.

use std::sync::Arc;
use std::time::Duration;

use tautline_core::inbox::Request;
use tautline_core::standing::{Standing, TokenStanding};
use tautline_slack::request::Kind;

use tautline_core::installation::{Credential, CredentialKind, Health, NewInstallation};
use tautline_core::refresh::{Leasing, Refresh, RefreshNext, Rotation, Settled};
use tautline_core::{InstallationId, TenantId, Timestamp, limits};
use tautline_slack::Token;

use crate::installations::{generation, new, store};
use crate::scene::{NOW, Scene, later};

/// When a token is due that was got now and lives for twelve hours.
const DUE_S: u64 = 10 * 3600;

async fn claimed(scene: &Scene, at: Timestamp) -> Vec<Refresh> {
    scene.store.refresh_claim(at, at.after(limits::REFRESH_LEASE), 9).await.unwrap()
}

async fn rotating(scene: &Scene) -> InstallationId {
    store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-1")).await.id
}

fn pair(number: u32, at: Timestamp) -> Credential {
    Credential {
        kind: CredentialKind::Bot,
        token: Token::new(format!("xoxb-{number}")),
        refresh_token: Some(Token::new(format!("xoxe-{number}"))),
        expires_at: Some(at.after(Duration::from_secs(43_200))),
    }
}

async fn settled(scene: &Scene, refresh: &Refresh, next: RefreshNext, at: Timestamp) -> bool {
    scene.store.refresh_settle(refresh, next, at).await.unwrap() == Settled::Done
}

async fn token(scene: &Scene, id: InstallationId) -> String {
    let live = scene.store.installation_token(&scene.acme, id, CredentialKind::Bot).await.unwrap();
    live.unwrap().token.expose().to_owned()
}

async fn health(scene: &Scene) -> Health {
    scene.store.installation_at(&scene.acme, "T1").await.unwrap().unwrap().health
}

pub async fn what_expires_is_taken_by_one_when_it_is_due(scene: &Scene) {
    let id = rotating(scene).await;
    assert!(claimed(scene, later(DUE_S - 1)).await.is_empty(), "not before its time");
    let taken = claimed(scene, later(DUE_S)).await;
    let [refresh] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!((refresh.installation, refresh.attempt, &refresh.tenant), (id, 1, &scene.acme));
    assert_eq!(refresh.refresh_token.as_ref().unwrap().expose(), "xoxe-1-refresh");
    assert_eq!(refresh.generation, generation(scene, id).await);
    assert!(claimed(scene, later(DUE_S + 14)).await.is_empty(), "somebody is at it");
    let again = claimed(scene, later(DUE_S + 15)).await;
    assert_eq!(again[0].attempt, 2, "whoever died with it left it to the next");
}

pub async fn a_new_pair_takes_the_old_ones_place(scene: &Scene) {
    let id = rotating(scene).await;
    let refresh = claimed(scene, later(DUE_S)).await.remove(0);
    assert!(settled(scene, &refresh, RefreshNext::Renewed(pair(2, later(DUE_S))), later(DUE_S)).await);
    assert_eq!(token(scene, id).await, "xoxb-2");
    assert_eq!(generation(scene, id).await, refresh.generation + 1);
    assert!(claimed(scene, later(2 * DUE_S - 1)).await.is_empty(), "for another ten hours");
    let next = claimed(scene, later(2 * DUE_S)).await.remove(0);
    assert_eq!((next.attempt, next.refresh_token.unwrap().expose()), (1, "xoxe-2"));
}

pub async fn who_comes_late_changes_nothing(scene: &Scene) {
    let id = rotating(scene).await;
    let slow = claimed(scene, later(DUE_S)).await.remove(0);
    let quick = claimed(scene, later(DUE_S + 15)).await.remove(0);
    assert!(!settled(scene, &slow, RefreshNext::Renewed(pair(2, NOW)), later(DUE_S + 16)).await);
    let again = RefreshNext::Again { at: later(DUE_S + 99), error: "lost".into() };
    assert!(!settled(scene, &slow, again, later(DUE_S + 16)).await);
    assert!(settled(scene, &quick, RefreshNext::Renewed(pair(3, NOW)), later(DUE_S + 17)).await);
    assert!(
        !settled(scene, &slow, RefreshNext::Ended { error: "invalid_refresh_token".into() }, later(DUE_S))
            .await
    );
    assert_eq!((token(scene, id).await.as_str(), health(scene).await), ("xoxb-3", Health::Connected));
}

pub async fn a_re_install_is_not_undone_by_a_late_answer(scene: &Scene) {
    let id = rotating(scene).await;
    let refresh = claimed(scene, later(DUE_S)).await.remove(0);
    assert_eq!(store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-9")).await.id, id);
    let anew = claimed(scene, later(DUE_S)).await.remove(0);
    assert_eq!(anew.attempt, refresh.attempt, "the new one has its own time, and its own count");
    assert!(!settled(scene, &refresh, RefreshNext::Renewed(pair(2, NOW)), later(DUE_S)).await);
    assert!(
        !settled(scene, &refresh, RefreshNext::Ended { error: "token_revoked".into() }, later(DUE_S)).await
    );
    assert_eq!((token(scene, id).await.as_str(), health(scene).await), ("xoxb-9", Health::Connected));
    assert!(settled(scene, &anew, RefreshNext::Renewed(pair(10, NOW)), later(DUE_S)).await);
}

pub async fn what_slack_renews_no_more_is_broken(scene: &Scene) {
    let id = rotating(scene).await;
    let refresh = claimed(scene, later(DUE_S)).await.remove(0);
    let again = RefreshNext::Again { at: later(DUE_S + 60), error: "bad_client_secret".into() };
    assert!(settled(scene, &refresh, again, later(DUE_S)).await);
    assert!(claimed(scene, later(DUE_S + 59)).await.is_empty());
    let refresh = claimed(scene, later(DUE_S + 60)).await.remove(0);
    assert_eq!((refresh.attempt, health(scene).await), (2, Health::Connected));
    let ended = RefreshNext::Ended { error: "invalid_refresh_token".into() };
    assert!(settled(scene, &refresh, ended, later(DUE_S + 61)).await);
    assert_eq!(health(scene).await, Health::Broken);
    assert!(claimed(scene, later(9 * DUE_S)).await.is_empty(), "nobody asks again");
    assert_eq!(token(scene, id).await, "xoxb-1", "what lives of it lives on");
    store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-9")).await;
    assert_eq!(health(scene).await, Health::Connected);
}

pub async fn on_demand_one_renews_and_the_others_wait(scene: &Scene) {
    let id = rotating(scene).await;
    let now = generation(scene, id).await;
    let lease = async |generation, at: Timestamp| {
        let until = at.after(limits::REFRESH_LEASE);
        scene.store.refresh_lease(&scene.acme, id, CredentialKind::Bot, generation, at, until).await.unwrap()
    };
    assert!(matches!(lease(now - 1, NOW).await, Leasing::Not), "there is another by now");
    let Leasing::Taken(refresh) = lease(now, NOW).await else { panic!("before it is due") };
    assert!(matches!(lease(now, NOW).await, Leasing::Busy));
    assert!(claimed(scene, later(14)).await.is_empty());
    let found = claimed(scene, later(15)).await.remove(0);
    assert_eq!(found.attempt, 2, "had its holder died, it would not wait until it is due");
    assert!(!settled(scene, &refresh, RefreshNext::Kept, NOW).await);
    let refresh = Box::new(found);
    let again = RefreshNext::Again { at: later(60), error: "lost".into() };
    assert!(settled(scene, &refresh, again, NOW).await);
    assert!(matches!(lease(now, later(59)).await, Leasing::Not), "trying has failed, and waits");
    let Leasing::Taken(refresh) = lease(now, later(60)).await else { panic!("its time has come") };
    assert!(settled(scene, &refresh, RefreshNext::Renewed(pair(2, NOW)), later(60)).await);
    assert!(matches!(lease(now, later(61)).await, Leasing::Not));
    let kind = CredentialKind::User;
    let none = scene.store.refresh_lease(&scene.acme, id, kind, now, NOW, later(15)).await.unwrap();
    assert!(matches!(none, Leasing::Not), "there is no such token");
}

fn endless(tenant: &TenantId, team: &str) -> NewInstallation {
    let mut new = new(tenant, "A1", Some(team), None, "xoxb-endless");
    new.credentials[0].refresh_token = None;
    new.credentials[0].expires_at = None;
    new
}

pub async fn with_the_first_token_that_ends_the_others_are_exchanged(scene: &Scene) {
    let old = store(scene, endless(&scene.acme, "T1")).await.id;
    assert!(claimed(scene, later(9 * DUE_S)).await.is_empty(), "nothing ends in this app");
    let other_app = new(&scene.globex, "A2", Some("T1"), None, "xoxb-1");
    store(scene, other_app).await;
    assert!(claimed(scene, NOW).await.is_empty(), "another app's is no sign");
    store(scene, new(&scene.globex, "A1", Some("T2"), None, "xoxb-1")).await;
    let exchange = claimed(scene, NOW).await.remove(0);
    assert_eq!((exchange.installation, exchange.token.expose()), (old, "xoxb-endless"));
    assert!(exchange.refresh_token.is_none());
    assert!(settled(scene, &exchange, RefreshNext::Renewed(pair(2, NOW)), NOW).await);
    assert_eq!(token(scene, old).await, "xoxb-2");
    let late = store(scene, endless(&scene.acme, "T3")).await.id;
    let exchange = claimed(scene, NOW).await.remove(0);
    assert_eq!(exchange.installation, late, "and what comes later without an end, as well");
    assert!(settled(scene, &exchange, RefreshNext::Kept, NOW).await);
    store(scene, new(&scene.globex, "A1", Some("T4"), None, "xoxb-1")).await;
    assert!(claimed(scene, NOW).await.is_empty(), "what Slack does not exchange is not asked for again");
}

pub async fn what_another_program_has_as_well_is_not_exchanged(scene: &Scene) {
    store(scene, new(&scene.globex, "A1", Some("T2"), None, "xoxb-1")).await;
    let shared = NewInstallation { is_shared: true, ..endless(&scene.acme, "T1") };
    store(scene, shared).await;
    store(scene, new(&scene.globex, "A1", Some("T3"), None, "xoxb-1")).await;
    assert!(claimed(scene, NOW).await.is_empty());
}

pub async fn the_companys_own_token_is_left_alone(scene: &Scene) {
    let home = TenantId::home();
    let tenant = tautline_core::Tenant { id: home.clone(), name: None, created_at: NOW };
    scene.store.tenant_record(tenant, None).await.unwrap();
    store(scene, endless(&home, "T1")).await;
    store(scene, new(&scene.globex, "A1", Some("T2"), None, "xoxb-1")).await;
    assert!(claimed(scene, NOW).await.is_empty());
}

pub async fn a_restart_gives_leases_back(scene: &Scene) {
    rotating(scene).await;
    claimed(scene, later(DUE_S)).await;
    scene.store.refresh_reap().await.unwrap();
    assert_eq!(claimed(scene, later(DUE_S)).await[0].attempt, 2);
}

pub async fn another_tenant_renews_nothing(scene: &Scene) {
    let id = rotating(scene).await;
    let (now, kind) = (generation(scene, id).await, CredentialKind::Bot);
    let lease = scene.store.refresh_lease(&scene.globex, id, kind, now, NOW, later(15)).await.unwrap();
    assert!(matches!(lease, Leasing::Not));
    let refresh = claimed(scene, later(DUE_S)).await.remove(0);
    let forged = Refresh { tenant: scene.globex.clone(), ..refresh };
    assert!(!settled(scene, &forged, RefreshNext::Renewed(pair(2, NOW)), NOW).await);
    assert_eq!(token(scene, id).await, "xoxb-1");
}

pub async fn how_an_installation_does_is_told(scene: &Scene) {
    let id = rotating(scene).await;
    let standing = async |tenant| scene.store.installation_standings(tenant, &[id]).await.unwrap().remove(0);
    let well = standing(&scene.acme).await;
    let token = TokenStanding {
        kind: CredentialKind::Bot,
        rotation: Rotation::Rotating,
        expires_at: Some(later(43_200)),
        error: None,
    };
    assert_eq!(well, Standing { tokens: vec![token.clone()], ..Standing::default() });
    assert_eq!(standing(&scene.globex).await, Standing::default(), "another tenant's");
    let mut incoming = scene.incoming(Some(&scene.acme), Kind::Event, "message", later(5));
    incoming.request = Arc::new(Request { installation: Some(id), ..Arc::unwrap_or_clone(incoming.request) });
    scene.store.request_accept(incoming).await.unwrap();
    let refresh = claimed(scene, later(DUE_S)).await.remove(0);
    let again = RefreshNext::Again { at: later(DUE_S), error: "bad_client_secret".into() };
    assert!(settled(scene, &refresh, again, later(DUE_S)).await);
    let heard = standing(&scene.acme).await;
    assert_eq!(heard.last_event_at, Some(later(5)));
    assert_eq!(heard.tokens, [TokenStanding { error: Some("bad_client_secret".into()), ..token.clone() }]);
    let refresh = claimed(scene, later(DUE_S)).await.remove(0);
    let ended = RefreshNext::Ended { error: "invalid_refresh_token".into() };
    assert!(settled(scene, &refresh, ended, later(DUE_S)).await);
    let broken = standing(&scene.acme).await;
    assert_eq!(broken.last_error, Some(("invalid_refresh_token".into(), later(DUE_S))));
    assert_eq!(broken.tokens[0].rotation, Rotation::Ended);
    store(scene, new(&scene.acme, "A1", Some("T1"), None, "xoxb-9")).await;
    assert_eq!(standing(&scene.acme).await.last_error, None, "connected again, it begins anew");
}

pub async fn a_pair_that_could_not_be_stored_in_time_mends_what_was_taken_for_ended(scene: &Scene) {
    let id = rotating(scene).await;
    let first = claimed(scene, later(DUE_S)).await.remove(0);
    // Its holder has a new pair, and no way to store it; the next finds the refresh token used up.
    let second = claimed(scene, later(DUE_S + 15)).await.remove(0);
    let pair = || RefreshNext::Renewed(pair(2, later(DUE_S)));
    let settle = async |refresh: &Refresh, next| {
        scene.store.refresh_settle(refresh, next, later(DUE_S + 20)).await.unwrap()
    };
    assert_eq!(settle(&first, pair()).await, Settled::Outrun, "the next may have a better one");
    assert_eq!(
        settle(&second, RefreshNext::Ended { error: "invalid_refresh_token".into() }).await,
        Settled::Done
    );
    assert_eq!(health(scene).await, Health::Broken);
    assert_eq!(settle(&first, RefreshNext::Kept).await, Settled::Outrun, "only a pair mends it");
    assert_eq!(settle(&first, pair()).await, Settled::Done);
    assert_eq!((health(scene).await, token(scene, id).await.as_str()), (Health::Connected, "xoxb-2"));
    assert_eq!(settle(&second, pair()).await, Settled::Replaced);
}

pub async fn what_an_earlier_version_stored_is_renewed_as_well(scene: &Scene) {
    let id = rotating(scene).await;
    let endless = store(scene, endless(&scene.globex, "T2")).await.id;
    // An earlier version knows nothing of these rows.
    scene.ground.run("DELETE FROM refreshes");
    assert!(claimed(scene, later(DUE_S)).await.is_empty());
    let reconcile = async || {
        let mut after = None;
        loop {
            after = scene.store.refresh_reconcile(after, NOW).await.unwrap();
            if after.is_none() {
                return;
            }
        }
    };
    reconcile().await;
    assert!(claimed(scene, later(DUE_S - 1)).await.is_empty(), "at its time");
    let taken = claimed(scene, later(DUE_S)).await;
    assert_eq!(
        taken.iter().map(|refresh| refresh.installation).collect::<Vec<_>>(),
        [id],
        "and not {endless}"
    );
    assert!(settled(scene, &taken[0], RefreshNext::Ended { error: "token_revoked".into() }, NOW).await);
    // It connects anew, and leaves the row as it was.
    scene.ground.run("UPDATE installations SET health = 'connected'");
    reconcile().await;
    assert_eq!(claimed(scene, later(DUE_S)).await.len(), 1);
    reconcile().await;
    assert!(claimed(scene, later(DUE_S + 1)).await.is_empty(), "again is no harm");
}
