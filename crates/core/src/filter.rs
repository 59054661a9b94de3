//! Filters: what an endpoint wants.

use std::str::FromStr;

use tautline_slack::request::Kind;

use crate::limits;

/// What an endpoint wants: `*`, `command.*`, `event.app_mention`, `block_action.approve_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    kind: Option<Kind>,
    name: String,
}

/// The text is no filter, or one that nothing can ever match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Neither `*` nor a kind and a name.
    #[error("{0:?} is no filter")]
    Unreadable(String),
    /// Commands begin with a slash.
    #[error("{0:?} matches nothing: commands begin with a slash, and go on")]
    NoSlash(String),
    /// The types of Slack's events are single words; the names that apps subscribe to may say more (`message.channels`).
    #[error("{0:?} matches nothing: the type of an event is one word")]
    Event(String),
    /// The gateway's own events are few.
    #[error("{0:?} matches nothing: the gateway says no such thing")]
    Own(String),
    /// A star stands for any rest, and for nothing else.
    #[error("{0:?} matches nothing: a star may only stand at the end")]
    Star(String),
}

impl FilterError {
    /// What to write instead.
    pub fn fix(&self) -> String {
        match self {
            Self::Unreadable(_) => {
                "write \"*\", a kind and a name as in \"event.app_mention\", or a beginning as in \"command.*\"".to_owned()
            }
            Self::NoSlash(text) if text.ends_with("./") => "name the command: command./deploy".to_owned(),
            Self::NoSlash(text) => format!("write {:?}", text.replacen('.', "./", 1)),
            Self::Event(_) => "write the type as it stands in the payload: event.message, event.app_mention".to_owned(),
            Self::Own(_) => "there are installation.connected, .broken, .removed, and endpoint.failing, .recovered, .exhausted".to_owned(),
            Self::Star(_) => "name what is wanted, or its beginning and then a star: \"event.message*\"".to_owned(),
        }
    }
}

impl Filter {
    /// Everything.
    pub fn everything() -> Self {
        Self { kind: None, name: "*".to_owned() }
    }

    /// A kind's requests of a name; one that ends in `*` is a beginning.
    pub fn of(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind: Some(kind), name: name.into() }
    }

    /// Reads one that was kept: what was a filter once stays one, whatever is refused by now.
    pub fn kept(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::everything());
        }
        let (kind, name) = text.split_once('.')?;
        Some(Self { kind: Some(kind.parse().ok()?), name: name.to_owned() })
    }

    /// Whether it wants a request.
    pub fn wants(&self, kind: Kind, name: &str) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
            && match self.name.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => self.name == name,
            }
    }

    /// Whether it names the gateway's own events, and nothing of Slack's.
    pub fn is_own(&self) -> bool {
        self.kind.is_some_and(|kind| own_names(kind).is_some())
    }

    /// Whether it names events that are the company's own, and no tenant's.
    pub fn is_of_home(&self) -> bool {
        self.kind == Some(Kind::Endpoint)
    }

    /// How much it says: an exact name more than a beginning, a long beginning more than a short one.
    pub(crate) fn precision(&self) -> (bool, bool, usize) {
        (self.kind.is_some(), !self.name.ends_with('*'), self.name.len())
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text == "*" {
            return Ok(Self::everything());
        }
        let unreadable = || FilterError::Unreadable(text.to_owned());
        let (kind, name) = text.split_once('.').ok_or_else(unreadable)?;
        let kind = kind.parse().map_err(|_| unreadable())?;
        if name.is_empty() || name.len() > limits::FILTER_BYTES || name.chars().any(char::is_control) {
            return Err(unreadable());
        }
        if name.strip_suffix('*').unwrap_or(name).contains('*') {
            return Err(FilterError::Star(text.to_owned()));
        }
        if kind == Kind::Command && name != "*" && (!name.starts_with('/') || name == "/") {
            return Err(FilterError::NoSlash(text.to_owned()));
        }
        let is_of_a_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_*".contains(c);
        if kind == Kind::Event && !name.chars().all(is_of_a_word) {
            return Err(FilterError::Event(text.to_owned()));
        }
        let filter = Self { kind: Some(kind), name: name.to_owned() };
        let can_match = |names: [&str; 3]| names.iter().any(|own| filter.wants(kind, own));
        if !own_names(kind).is_none_or(can_match) {
            return Err(FilterError::Own(text.to_owned()));
        }
        Ok(filter)
    }
}

/// What the gateway says of its own accord, by the kind.
fn own_names(kind: Kind) -> Option<[&'static str; 3]> {
    match kind {
        Kind::Installation => Some(["connected", "broken", "removed"]),
        Kind::Endpoint => Some(["failing", "recovered", "exhausted"]),
        _ => None,
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            None => f.write_str("*"),
            Some(kind) => write!(f, "{kind}.{}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_by_kind_and_name() {
        let wants = |filter: &str, kind, name| filter.parse::<Filter>().unwrap().wants(kind, name);
        assert!(wants("*", Kind::Event, "message"));
        assert!(wants("event.app_mention", Kind::Event, "app_mention"));
        assert!(!wants("event.app_mention", Kind::Event, "app_mention_x"));
        assert!(!wants("event.app_mention", Kind::Command, "app_mention"));
        assert!(wants("block_action.approve_*", Kind::BlockAction, "approve_7"));
        assert!(!wants("block_action.approve_*", Kind::BlockAction, "reject_7"));
        assert!(wants("command.*", Kind::Command, "/x"));
        assert!(wants("installation.*", Kind::Installation, "broken"));
        assert_eq!("command./x*".parse::<Filter>().unwrap().to_string(), "command./x*");
    }

    #[test]
    fn what_was_kept_once_is_read() {
        for old in ["*", "command.deploy", "event.a*b", "event.message"] {
            assert_eq!(Filter::kept(old).unwrap().to_string(), old);
        }
        assert_eq!(Filter::kept("kind_of_tomorrow.x"), None);
    }

    #[test]
    fn what_can_never_match_is_no_filter_and_says_what_to_write() {
        let long = format!("event.{}", "x".repeat(limits::FILTER_BYTES + 1));
        for bad in ["", "event", "event.", "events.message", ".x", "event.a\nb", &long] {
            assert!(matches!(bad.parse::<Filter>(), Err(FilterError::Unreadable(_))), "{bad:?}");
        }
        let error = "command.deploy".parse::<Filter>().unwrap_err();
        assert_eq!(error.fix(), "write \"command./deploy\"");
        for (own, error) in [
            ("installation.foo", FilterError::Own("installation.foo".into())),
            ("endpoint.dead*", FilterError::Own("endpoint.dead*".into())),
            ("event.message.channels", FilterError::Event("event.message.channels".into())),
            ("event. app_mention", FilterError::Event("event. app_mention".into())),
            ("command./", FilterError::NoSlash("command./".into())),
        ] {
            assert_eq!(own.parse::<Filter>(), Err(error));
        }
        assert!("installation.*".parse::<Filter>().unwrap().is_own());
        for star in ["event.*x*", "block_action.a*b", "event.**"] {
            assert_eq!(star.parse::<Filter>(), Err(FilterError::Star(star.to_owned())));
        }
    }
}
