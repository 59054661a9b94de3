//! Where PostgreSQL's programs are.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program of PostgreSQL's. Debian keeps most of them, by version, away from the `PATH`.
pub fn postgres_program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let major = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).filter(|path| major(path).is_some()).max_by_key(major);
    newest.map(|version| version.join("bin").join(name)).filter(|path| path.exists()).unwrap_or(name.into())
}

/// Whether the programs are there that a cluster needs.
pub fn is_there() -> bool {
    ["initdb", "postgres", "psql"].iter().all(|name| {
        let mut asked = Command::new(postgres_program(name));
        asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        asked.status().is_ok_and(|status| status.success())
    })
}

/// A program, run as somebody PostgreSQL accepts: it refuses root.
pub(crate) fn as_postgres(program: &str) -> Command {
    if std::fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0)
    {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", program]);
        return command;
    }
    Command::new(program)
}
