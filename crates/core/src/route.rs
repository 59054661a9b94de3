//! Routes: a tenant's choice of which notifications of a workspace go to which channels.
//!
//! The product names what happened (`billing.invoice_paid`); the tenant says where that goes, by name, by the beginning of the
//! name (`billing.*`), or by default.

use async_trait::async_trait;

use crate::{StoreResult, TenantId, Timestamp, limits};

/// The route of whatever has none of its own.
pub const DEFAULT: &str = "default";

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The workspace or org, by Slack's id.
    pub place: String,
    /// What goes there: a name, a beginning with `.*`, or [`DEFAULT`].
    pub name: String,
    /// To which channels, by their ids.
    pub channels: Vec<String>,
    /// Whether anything goes at all.
    pub is_enabled: bool,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Whether a text can be a route's name: words with dots between them, the last of which may be `*`.
pub fn is_name(name: &str) -> bool {
    let words = name.strip_suffix(".*").unwrap_or(name);
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
    };
    name.len() <= limits::ROUTE_NAME_BYTES && words.split('.').all(is_word)
}

/// The route of something that happened: its own, else the one with the longest beginning of its name, else the default.
pub fn choose<'r>(routes: &'r [Route], happened: &str) -> Option<&'r Route> {
    let named = |name: &str| routes.iter().find(|route| route.name == name);
    let mut beginning = happened;
    let mut found = named(happened);
    while let (None, Some((shorter, _))) = (found, beginning.rsplit_once('.')) {
        beginning = shorter;
        found = named(&format!("{beginning}.*"));
    }
    found.or_else(|| named(DEFAULT))
}

/// The store's record of routes.
#[async_trait]
pub trait Routes {
    /// Keeps a route; the one of that name before is replaced. False: the workspace has too many.
    async fn route_put(&self, tenant: &TenantId, route: &Route) -> StoreResult<bool>;

    /// Removes a route. Whether there was one.
    async fn route_remove(&self, tenant: &TenantId, place: &str, name: &str) -> StoreResult<bool>;

    /// The routes of a workspace, by name.
    async fn routes(&self, tenant: &TenantId, place: &str) -> StoreResult<Vec<Route>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str) -> Route {
        Route {
            place: "T1".into(),
            name: name.into(),
            channels: vec!["C1".into()],
            is_enabled: true,
            updated_at: Timestamp::default(),
        }
    }

    #[test]
    fn the_most_specific_route_has_it() {
        let routes = ["billing.invoice_paid", "billing.*", "billing.invoice.*", "default"].map(route);
        let of = |happened| choose(&routes, happened).map(|route| route.name.as_str());
        assert_eq!(of("billing.invoice_paid"), Some("billing.invoice_paid"));
        assert_eq!(of("billing.invoice.overdue"), Some("billing.invoice.*"));
        assert_eq!(of("billing.refund"), Some("billing.*"));
        assert_eq!(of("billing"), Some("default"), "a beginning is not a part of itself");
        assert_eq!(of("billingx.refund"), Some("default"));
        assert_eq!(choose(&routes[..1], "other"), None);
    }

    #[test]
    fn names_are_words_with_dots_between_them() {
        for name in ["default", "deploy", "billing.invoice_paid", "billing.*", "a-b.c.*"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "a.", "*", ".*", "a.*.b", "A", "a b", "a/b", &"a".repeat(101)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
