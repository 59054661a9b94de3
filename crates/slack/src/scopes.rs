//! OAuth scopes: what the bot asks for, what it was granted.

/// The scopes asked for unless configured otherwise.
pub const DEFAULT_BOT_SCOPES: &str = "chat:write,chat:write.public,commands,app_mentions:read,\
channels:history,channels:read,groups:history,groups:read,im:history,im:write,users:read,\
users:read.email,reactions:read,links:read,files:write";

/// Splits Slack's comma-separated list; spaces and empty entries are dropped.
pub fn parse(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
}

/// The scopes asked for that were not granted: a person may decline optional ones, and an installation made
/// before a scope was added lacks it until it is connected again.
pub fn missing(asked: &[String], granted: &[String]) -> Vec<String> {
    asked.iter().filter(|scope| !granted.contains(scope)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_documented_fifteen() {
        let scopes = parse(DEFAULT_BOT_SCOPES);
        assert_eq!(scopes.len(), 15);
        assert_eq!(scopes.first().map(String::as_str), Some("chat:write"));
        assert_eq!(scopes.last().map(String::as_str), Some("files:write"));
    }

    #[test]
    fn missing_is_what_was_asked_and_not_granted() {
        assert_eq!(missing(&parse("a, b,,c"), &parse("c,a,z")), ["b"]);
    }
}
