-- Tokens that can be renewed, and who is at it; see tautline_core::refresh. Times of leases are the database's.
CREATE TABLE refreshes (
  installation_id uuid NOT NULL REFERENCES installations (id) ON DELETE CASCADE,
  kind            text NOT NULL,
  tenant_id       text NOT NULL,
  app_id          text NOT NULL,
  rotation        text NOT NULL,           -- endless, rotating, kept, ended
  due_at          bigint,                  -- null: nothing is to be done
  attempt         bigint NOT NULL DEFAULT 0,
  leased_until    bigint,
  error           text,
  PRIMARY KEY (installation_id, kind)
);
CREATE INDEX refreshes_due ON refreshes (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX refreshes_by_app ON refreshes (app_id, rotation);
-- Its rows for what was installed before come beside the traffic, tenant by tenant: see refreshes.rs.

-- Slack's last word against an installation, and when it came.
ALTER TABLE installations ADD COLUMN last_error text;
ALTER TABLE installations ADD COLUMN last_error_at bigint;

-- The key with which a person signed in, or somebody made a link: with it they end.
ALTER TABLE sessions ADD COLUMN key_id uuid;
ALTER TABLE dashboard_links ADD COLUMN key_id uuid;
ALTER TABLE connect_links ADD COLUMN key_id uuid;

-- Installations that began at Slack, and wait for somebody who claims them.
CREATE TABLE parked_installs (
  id          uuid PRIMARY KEY,
  secret_hash bytea NOT NULL UNIQUE,
  sealed      bytea NOT NULL,
  expires_at  bigint NOT NULL
);
CREATE INDEX parked_installs_by_expiry ON parked_installs (expires_at);
