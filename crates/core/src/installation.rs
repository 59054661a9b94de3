//! Installations: our app in one workspace or one org, belonging to one tenant.

use std::sync::Arc;

use async_trait::async_trait;
use tautline_slack::oauth::Access;
use tautline_slack::request::{InstallKey, Origin};
use tautline_slack::{AppId, AuthTest, EnterpriseId, TeamId, Token};

use crate::names::names;
use crate::refresh::LiveToken;
use crate::standing::Standing;
use crate::{InstallationId, LinkId, Page, PageRequest, StoreResult, TenantId, Timestamp};

/// An installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Its id; a re-install keeps it.
    pub id: InstallationId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What Slack told of it.
    pub facts: Facts,
    /// Whether it works.
    pub health: Health,
    /// Of an org-wide one: the workspaces in which it may act, as far as Slack has told. It begins with none.
    pub granted_teams: Vec<TeamId>,
    /// When Slack last held events back, as there were more than 30,000 in an hour.
    pub rate_limited_at: Option<Timestamp>,
    /// When it was first made.
    pub installed_at: Timestamp,
    /// When it was last made anew.
    pub updated_at: Timestamp,
}

impl Installation {
    /// Whether this is the installation that an origin means, once it was found at one of its places.
    pub fn is_meant_by(&self, origin: &Origin) -> bool {
        origin.granted.as_ref().is_none_or(|team| self.granted_teams.contains(team))
    }
}

/// What Slack tells of an installation. No secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The app.
    pub app: AppId,
    /// The workspace; `None` when org-wide.
    pub team: Option<TeamId>,
    /// The workspace's name.
    pub team_name: Option<String>,
    /// The org: an attribute, unless the installation is org-wide.
    pub enterprise: Option<EnterpriseId>,
    /// The org's name.
    pub enterprise_name: Option<String>,
    /// Whether the app is installed in the org as a whole.
    pub is_enterprise_install: bool,
    /// What the bot may do.
    pub scopes: Vec<String>,
    /// The bot's user.
    pub bot_user_id: Option<String>,
    /// The bot.
    pub bot_id: Option<String>,
}

/// Whether an installation works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its tokens were good when last used.
    Connected,
    /// It has to be connected again.
    Broken,
}

names!(Health { Connected = "connected", Broken = "broken" });

/// What an installation is allowed to act with.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Whose token it is.
    pub kind: CredentialKind,
    /// The token.
    pub token: Token,
    /// What renews it, with token rotation.
    pub refresh_token: Option<Token>,
    /// When it ends, with token rotation.
    pub expires_at: Option<Timestamp>,
}

/// Whose token it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// The bot's.
    Bot,
    /// That of the user who consented.
    User,
    /// The URL of a granted webhook.
    IncomingWebhook,
}

impl CredentialKind {
    /// Whether it is a token, which can end and be renewed. The URL of a webhook is none.
    pub fn is_token(self) -> bool {
        self != Self::IncomingWebhook
    }
}

names!(CredentialKind { Bot = "bot", User = "user", IncomingWebhook = "incoming_webhook" });

/// Something to be installed.
#[derive(Clone, Debug)]
pub struct NewInstallation {
    /// The id it takes, if it is new.
    pub id: InstallationId,
    /// Whose it will be.
    pub tenant: TenantId,
    /// What Slack told of it.
    pub facts: Facts,
    /// What it acts with; the bot's first.
    pub credentials: Vec<Credential>,
    /// The connect link it came by: used up in the same commit.
    pub link: Option<LinkId>,
    /// Another program has its tokens as well: those without an end are left as they are.
    pub is_shared: bool,
}

/// Slack's answer does not make an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Only a user token was granted.
    #[error("Slack granted no bot token: the app asks for no bot scopes, or has no bot user")]
    NoBotToken,
    /// Neither a workspace nor an org was named.
    #[error("Slack named neither a workspace nor an org")]
    NoPlace,
}

impl Facts {
    /// The installation's unique name.
    pub fn key(&self) -> Result<InstallKey, Unusable> {
        match (&self.team, &self.enterprise) {
            (_, Some(enterprise)) if self.is_enterprise_install => Ok(InstallKey::org(&self.app, enterprise)),
            (Some(team), _) => Ok(InstallKey::workspace(&self.app, team)),
            (None, Some(enterprise)) => Ok(InstallKey::org(&self.app, enterprise)),
            (None, None) => Err(Unusable::NoPlace),
        }
    }
}

impl NewInstallation {
    /// Reads the answers of `oauth.v2.access` and `auth.test` together. `now` is when the first came: tokens
    /// live from there.
    pub fn from_oauth(
        id: InstallationId,
        tenant: TenantId,
        access: Access,
        tested: &AuthTest,
        now: Timestamp,
    ) -> Result<Self, Unusable> {
        let facts = Facts {
            app: access.app_id,
            team_name: access.team.as_ref().and_then(|team| team.name.clone()),
            team: access.team.map(|team| team.id),
            enterprise_name: access.enterprise.as_ref().and_then(|enterprise| enterprise.name.clone()),
            enterprise: access.enterprise.map(|enterprise| enterprise.id),
            is_enterprise_install: access.is_enterprise_install,
            scopes: tautline_slack::scopes::parse(&access.scope),
            bot_user_id: access.bot_user_id.or_else(|| tested.user_id.clone()),
            bot_id: tested.bot_id.clone(),
        };
        facts.key()?;
        let ends = |lifetime_s: Option<i64>| {
            let lifetime_s = u64::try_from(lifetime_s?).ok()?;
            Some(now.after(std::time::Duration::from_secs(lifetime_s)))
        };
        let mut credentials = vec![Credential {
            kind: CredentialKind::Bot,
            token: access.access_token.ok_or(Unusable::NoBotToken)?,
            refresh_token: access.refresh_token,
            expires_at: ends(access.expires_in),
        }];
        if let Some(user) = access.authed_user
            && let Some(token) = user.access_token
        {
            let (refresh_token, expires_at) = (user.refresh_token, ends(user.expires_in));
            credentials.push(Credential { kind: CredentialKind::User, token, refresh_token, expires_at });
        }
        if let Some(webhook) = access.incoming_webhook {
            let kind = CredentialKind::IncomingWebhook;
            credentials.push(Credential { kind, token: webhook.url, refresh_token: None, expires_at: None });
        }
        Ok(Self { id, tenant, facts, credentials, link: None, is_shared: false })
    }

    /// What is on record afterwards. A re-install keeps the id of what was there: what refers to it goes on to.
    pub fn over(&self, existing: Option<&Installation>, now: Timestamp) -> Installation {
        Installation {
            id: existing.map_or(self.id, |existing| existing.id),
            tenant: self.tenant.clone(),
            facts: self.facts.clone(),
            health: Health::Connected,
            granted_teams: existing.map(|existing| existing.granted_teams.clone()).unwrap_or_default(),
            rate_limited_at: existing.and_then(|existing| existing.rate_limited_at),
            installed_at: existing.map_or(now, |existing| existing.installed_at),
            updated_at: now,
        }
    }
}

/// A tenant's installation where it has one only, so that nobody needs to say which is meant.
#[derive(Clone, Debug)]
pub enum Only {
    /// This.
    This(Box<Installation>),
    /// There is none.
    None,
    /// There are several.
    Several,
}

impl Only {
    /// Of a tenant's installations, two of which are enough to tell.
    pub fn of(two: impl IntoIterator<Item = Installation>) -> Self {
        let mut two = two.into_iter();
        match (two.next(), two.next()) {
            (None, _) => Self::None,
            (Some(only), None) => Self::This(Box::new(only)),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}

/// What became of an install.
#[derive(Clone, Debug)]
pub enum Installed {
    /// It is there, new or renewed.
    Done(Box<Installation>),
    /// The workspace or org belongs to another tenant: nothing was changed, and nothing may be revoked, as it
    /// may be the very same token.
    BelongsToAnother {
        /// Whose it is. For the audit, never for the person at the screen.
        tenant: TenantId,
    },
    /// The link was used up in the meantime: nothing was stored.
    LinkUsed,
}

/// What became of moving an installation to another tenant.
#[derive(Clone, Debug)]
pub enum Moved {
    /// It is the other tenant's now, under another id: what is on record of the one before stays with it.
    Done {
        /// Whose it was.
        from: TenantId,
        /// As it is now.
        installation: Box<Installation>,
    },
    /// It is that tenant's already.
    Already,
    /// It is home's: declared by the environment, it would come back at the next start.
    OfHome,
    /// There is no such installation.
    Unknown,
}

/// The store's record of installations.
#[async_trait]
pub trait Installations {
    /// The installation that Slack names, whoever's it is: this is how a request finds its tenant.
    async fn installation_named(&self, origin: &Origin) -> StoreResult<Option<Arc<Installation>>>;

    /// Stores an installation with its credentials, in one commit.
    async fn installation_store(&self, new: NewInstallation, now: Timestamp) -> StoreResult<Installed>;

    /// A tenant's only installation: where what a tenant says goes, unless it says more.
    async fn installation_only(&self, tenant: &TenantId) -> StoreResult<Only>;

    /// A tenant's own installation at a place (`T…` or `E…`).
    async fn installation_at(&self, tenant: &TenantId, place: &str) -> StoreResult<Option<Installation>>;

    /// A tenant's own installation.
    async fn installation(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
    ) -> StoreResult<Option<Installation>>;

    /// A tenant's installations, newest first.
    async fn installations(&self, tenant: &TenantId, page: PageRequest) -> StoreResult<Page<Installation>>;

    /// Removes an installation with its credentials, unless it was made anew after `not_after`. False: it was, or there
    /// is none. For a day it is still found by [`Self::installation_named`]: Slack tells of an end in two events, and
    /// both are the tenant's. Its workspace is free at once.
    async fn installation_remove(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        not_after: Timestamp,
        now: Timestamp,
    ) -> StoreResult<bool>;

    /// Moves an installation of whichever tenant to another, with its credentials, in one commit.
    async fn installation_move(
        &self,
        installation: InstallationId,
        to: &TenantId,
        new_id: InstallationId,
        now: Timestamp,
    ) -> StoreResult<Moved>;

    /// Removes one credential of an installation, unless that was made anew after `not_after`.
    async fn credential_remove(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        kind: CredentialKind,
        not_after: Timestamp,
    ) -> StoreResult<bool>;

    /// Keeps in which workspaces an org-wide installation may act from now on.
    async fn installation_granted(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        granted: &[TeamId],
        revoked: &[TeamId],
    ) -> StoreResult<()>;

    /// Puts on record that Slack does not take the bot's token any more, unless it has another one than that of this
    /// generation. True for the one who noticed first.
    async fn installation_broken(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        generation: i64,
        error: &str,
        now: Timestamp,
    ) -> StoreResult<bool>;

    /// How installations of a tenant do, in the order that is asked for.
    async fn installation_standings(
        &self,
        tenant: &TenantId,
        installations: &[InstallationId],
    ) -> StoreResult<Vec<Standing>>;

    /// Keeps when Slack held events back.
    async fn installation_limited(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        at: Timestamp,
    ) -> StoreResult<()>;

    /// The token that an installation of a tenant acts with.
    async fn installation_token(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        kind: CredentialKind,
    ) -> StoreResult<Option<LiveToken>>;
}
