-- Tokens that can be renewed, and who is at it; see tautline_core::refresh.
CREATE TABLE refreshes (
  installation_id BLOB NOT NULL REFERENCES installations (id) ON DELETE CASCADE,
  kind            TEXT NOT NULL,
  tenant_id       TEXT NOT NULL,
  app_id          TEXT NOT NULL,
  rotation        TEXT NOT NULL,           -- endless, rotating, kept, ended
  due_at          INTEGER,                 -- null: nothing is to be done
  attempt         INTEGER NOT NULL DEFAULT 0,
  leased_until    INTEGER,
  error           TEXT,
  PRIMARY KEY (installation_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX refreshes_due ON refreshes (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX refreshes_by_app ON refreshes (app_id, rotation);
-- Its rows for what was installed before come when a server starts: see refreshes.rs.

-- Slack's last word against an installation, and when it came.
ALTER TABLE installations ADD COLUMN last_error TEXT;
ALTER TABLE installations ADD COLUMN last_error_at INTEGER;

-- The key with which a person signed in, or somebody made a link: with it they end.
ALTER TABLE sessions ADD COLUMN key_id BLOB;
ALTER TABLE dashboard_links ADD COLUMN key_id BLOB;
ALTER TABLE connect_links ADD COLUMN key_id BLOB;

-- Installations that began at Slack, and wait for somebody who claims them.
CREATE TABLE parked_installs (
  id          BLOB PRIMARY KEY,
  secret_hash BLOB NOT NULL UNIQUE,
  sealed      BLOB NOT NULL,
  expires_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX parked_installs_by_expiry ON parked_installs (expires_at);
