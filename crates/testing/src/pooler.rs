//! A pooler between a test and its database.

use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::cluster::Database;
use crate::programs::as_postgres;

/// PgBouncer in transaction mode: each transaction may meet another connection of the server's.
pub struct Pooler {
    dir: PathBuf,
    keeper: Child,
}

impl Pooler {
    /// Starts one before a database, with few connections, so that they are shared.
    pub fn before(database: &Database) -> Self {
        let script = r#"
            set -eu
            trap '' INT TERM HUP
            dir=$(mktemp -d "${TMPDIR:-/tmp}/tautline-pgbouncer.XXXXXX")
            printf '[databases]\n* = host=%s user=postgres\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = %s\npool_mode = transaction\nauth_type = any\nmax_client_conn = 200\ndefault_pool_size = 3\nserver_reset_query =\nlogfile = %s/log\n' "$1" "$dir" "$dir" >"$dir/ini"
            pgbouncer -q "$dir/ini" >/dev/null 2>&1 </dev/null &
            pid=$!
            until [ -S "$dir/.s.PGSQL.6432" ]; do kill -0 "$pid" || { cat "$dir/log" >&2; exit 1; }; sleep 0.05; done
            echo "$dir"
            cat >/dev/null
            kill -INT "$pid"; wait "$pid" || :
            rm -rf "$dir"
        "#;
        let mut keeper = as_postgres("sh");
        keeper.args(["-c", script, "keeper"]).arg(database.dir()).current_dir("/");
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh runs");
        let dir = crate::cluster::first_line(keeper.stdout.take().expect("it is piped"));
        assert!(!dir.is_empty(), "PgBouncer did not start; `cargo xtask setup` installs it");
        Self { dir: dir.into(), keeper }
    }

    /// The database's URL by way of the pooler.
    pub fn url(&self, database: &Database) -> String {
        format!("postgres://postgres@localhost:6432/{}?host={}", database.name(), self.dir.display())
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
