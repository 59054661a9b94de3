//! Variables by name, with the spellings each answers to. Values are never repeated in a message.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

/// The prefix under which Slack's variables are known, too.
const ALIAS: &str = "DEVOTEL_";

/// The process's environment, completed by `.env`.
#[derive(Default)]
pub(crate) struct Environment(BTreeMap<String, String>);

/// What is wrong with the configuration: all of it at once, so that it is mended at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    pub(crate) fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// The value, if nothing was wrong.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is wrong:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
    }
}

impl std::error::Error for Problems {}

impl Environment {
    /// Reads the process's environment and `.env`; what is set counts more than what is written there.
    pub(crate) fn of_process() -> Result<Self, Problems> {
        let mut variables: BTreeMap<String, String> = BTreeMap::new();
        let mut problems = Problems::default();
        match dotenvy::from_path_iter(".env") {
            Ok(lines) => {
                for line in lines {
                    match line {
                        Ok((name, value)) => drop(variables.insert(name, value)),
                        // The line may hold a secret: the error that repeats it is not shown.
                        Err(_) => problems.add(".env has a line that is not NAME=value"),
                    }
                }
            }
            Err(error) if error.not_found() => {}
            Err(_) => problems.add(".env cannot be read"),
        }
        let set = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        variables.extend(set);
        problems.or(Self(variables))
    }

    /// These variables, and no others.
    pub(crate) fn of<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    fn plain(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A variable. Slack's answer to `DEVOTEL_…` as well; two different values for one are a problem.
    pub(crate) fn get(&self, name: &str, problems: &mut Problems) -> Option<String> {
        let alias = format!("{ALIAS}{name}");
        let names = if name.starts_with("SLACK_") { vec![name, &alias] } else { vec![name] };
        self.agreeing(names.iter().filter_map(|name| Some(((*name).to_owned(), self.plain(name)?))), problems)
    }

    /// A secret: also from the file that `NAME_FILE` names, as secret managers mount them.
    pub(crate) fn secret(&self, name: &str, problems: &mut Problems) -> Option<String> {
        let value = self.get(name, problems).map(|value| (name.to_owned(), value));
        let file_name = format!("{name}_FILE");
        let mounted = self.get(&file_name, problems).and_then(|path| match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => {
                problems.add(format!("{file_name} names {path}, which is empty"));
                None
            }
            Ok(text) => Some((file_name.clone(), text.trim().to_owned())),
            Err(error) => {
                problems.add(format!("{file_name} names {path}, which cannot be read: {error}"));
                None
            }
        });
        self.agreeing(value.into_iter().chain(mounted), problems)
    }

    fn agreeing(
        &self,
        values: impl Iterator<Item = (String, String)>,
        problems: &mut Problems,
    ) -> Option<String> {
        let mut values = values.peekable();
        let (first_name, first) = values.next()?;
        for (name, value) in values {
            if value != first {
                problems.add(format!("{first_name} and {name} have different values; unset one of them"));
            }
        }
        Some(first)
    }

    /// A variable of a type that is read from text.
    pub(crate) fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        expected: &str,
        problems: &mut Problems,
    ) -> Option<T> {
        let text = self.get(name, problems)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            problems.add(format!("{name} is not {expected}"));
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(pairs: &[(&str, &str)], name: &str) -> (Option<String>, usize) {
        let mut problems = Problems::default();
        let value = Environment::of(pairs.iter().copied()).secret(name, &mut problems);
        (value, problems.0.len())
    }

    #[test]
    fn slacks_variables_answer_to_both_names() {
        assert_eq!(get(&[("SLACK_BOT_TOKEN", "x")], "SLACK_BOT_TOKEN"), (Some("x".into()), 0));
        assert_eq!(get(&[("DEVOTEL_SLACK_BOT_TOKEN", "x")], "SLACK_BOT_TOKEN"), (Some("x".into()), 0));
        let both = [("SLACK_BOT_TOKEN", "x"), ("DEVOTEL_SLACK_BOT_TOKEN", "x")];
        assert_eq!(get(&both, "SLACK_BOT_TOKEN"), (Some("x".into()), 0), "the same twice is no matter");
        assert_eq!(get(&[("DEVOTEL_TAUTLINE_ADMIN_KEY", "x")], "TAUTLINE_ADMIN_KEY"), (None, 0));
    }

    #[test]
    fn two_values_for_one_variable_are_a_problem_that_repeats_neither() {
        let mut problems = Problems::default();
        let pairs = [("SLACK_BOT_TOKEN", "xoxb-1"), ("DEVOTEL_SLACK_BOT_TOKEN", "xoxb-2")];
        Environment::of(pairs).secret("SLACK_BOT_TOKEN", &mut problems);
        let said = problems.to_string();
        assert!(said.contains("SLACK_BOT_TOKEN and DEVOTEL_SLACK_BOT_TOKEN have different values"), "{said}");
        assert!(!said.contains("xoxb"), "{said}");
    }

    #[test]
    fn a_secret_may_stand_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "s3cret\n").unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(
            get(&[("TAUTLINE_ADMIN_KEY_FILE", path)], "TAUTLINE_ADMIN_KEY"),
            (Some("s3cret".into()), 0)
        );
        assert_eq!(get(&[("SLACK_BOT_TOKEN_FILE", "/no/such/file")], "SLACK_BOT_TOKEN"), (None, 1));
    }

    #[test]
    fn an_empty_variable_is_an_unset_one() {
        assert_eq!(get(&[("SLACK_BOT_TOKEN", "  ")], "SLACK_BOT_TOKEN"), (None, 0));
    }
}
