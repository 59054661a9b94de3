-- Times are microseconds since 1970. Ids are the 16 bytes of a UUIDv7.
-- Columns named sealed_… hold ciphertext; see keyring.rs.

CREATE TABLE tenants (
  id         TEXT PRIMARY KEY,
  name       TEXT,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
  id           BLOB PRIMARY KEY,
  tenant_id    TEXT REFERENCES tenants (id), -- null: a platform key
  secret_hash  BLOB NOT NULL UNIQUE,
  scopes       TEXT NOT NULL,
  created_at   INTEGER NOT NULL,
  expires_at   INTEGER,
  last_used_at INTEGER,
  revoked_at   INTEGER
) STRICT;

CREATE TABLE installations (
  id                    BLOB PRIMARY KEY,
  tenant_id             TEXT NOT NULL REFERENCES tenants (id),
  install_key           TEXT NOT NULL UNIQUE, -- app_id/T… or app_id/E…
  place                 TEXT NOT NULL,        -- the part after the slash
  app_id                TEXT NOT NULL,
  team_id               TEXT,
  team_name             TEXT,
  enterprise_id         TEXT,
  enterprise_name       TEXT,
  is_enterprise_install INTEGER NOT NULL,
  scopes                TEXT NOT NULL,
  bot_user_id           TEXT,
  bot_id                TEXT,
  health                TEXT NOT NULL,
  installed_at          INTEGER NOT NULL,
  updated_at            INTEGER NOT NULL
) STRICT;
CREATE INDEX installations_by_tenant ON installations (tenant_id, id);
CREATE INDEX installations_by_place ON installations (place);

-- The generation counts what was stored here: whoever renews a token names the one it read.
CREATE TABLE credentials (
  tenant_id            TEXT NOT NULL REFERENCES tenants (id),
  installation_id      BLOB NOT NULL REFERENCES installations (id) ON DELETE CASCADE,
  kind                 TEXT NOT NULL,
  sealed_token         BLOB NOT NULL,
  sealed_refresh_token BLOB,
  expires_at           INTEGER,
  generation           INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, installation_id, kind)
) STRICT;

CREATE TABLE connect_links (
  id          BLOB PRIMARY KEY,
  tenant_id   TEXT NOT NULL REFERENCES tenants (id),
  secret_hash BLOB NOT NULL UNIQUE,
  return_to   TEXT,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  consumed_at INTEGER
) STRICT;

-- Consumed nonces of OAuth states. Kept until the state has expired anyway.
CREATE TABLE nonces (
  hash       BLOB PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_by_expiry ON nonces (expires_at);

CREATE TABLE endpoints (
  id            BLOB PRIMARY KEY,
  name          TEXT NOT NULL UNIQUE,
  target        TEXT NOT NULL, -- in_process, slack
  url           TEXT,
  filters       TEXT NOT NULL, -- JSON list
  tenants       TEXT NOT NULL, -- JSON list; ["*"] is every tenant
  active        INTEGER NOT NULL,
  sealed_secret BLOB,
  created_at    INTEGER NOT NULL
) STRICT;

-- What was accepted before, by install key and event_id, or by signature. Apart from the inbox, so that the
-- inbox can be cut into partitions and this cannot: it must be unique as a whole.
CREATE TABLE seen (
  key     BLOB PRIMARY KEY,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX seen_by_age ON seen (seen_at);

CREATE TABLE inbox (
  id              BLOB PRIMARY KEY,
  tenant_id       TEXT REFERENCES tenants (id), -- null: unclaimed
  installation_id BLOB,                         -- no reference: the record outlives the installation
  kind            TEXT NOT NULL,
  name            TEXT NOT NULL,
  slack_id        TEXT,
  team_id         TEXT,
  received_at     INTEGER NOT NULL,
  expires_at      INTEGER NOT NULL,
  content_type    TEXT,
  sealed_body     BLOB NOT NULL,
  answer          TEXT NOT NULL -- not_held, waiting, answered, fallback, unanswered
) STRICT;
CREATE INDEX inbox_by_tenant ON inbox (tenant_id, id);
CREATE INDEX inbox_waiting ON inbox (received_at) WHERE answer = 'waiting';

CREATE TABLE deliveries (
  id           BLOB PRIMARY KEY,
  tenant_id    TEXT NOT NULL REFERENCES tenants (id),
  request_id   BLOB NOT NULL REFERENCES inbox (id) ON DELETE CASCADE,
  endpoint_id  BLOB NOT NULL REFERENCES endpoints (id),
  answers      INTEGER NOT NULL, -- this endpoint's words are the answer to Slack
  state        TEXT NOT NULL,    -- ready, leased, delivered, dead
  attempt      INTEGER NOT NULL, -- the number of the last attempt; fences those who come late
  next_at      INTEGER,          -- while ready
  leased_until INTEGER,          -- while leased
  dead_reason  TEXT,
  expires_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_by_request ON deliveries (request_id);
CREATE INDEX deliveries_due ON deliveries (endpoint_id, next_at) WHERE state = 'ready';
CREATE INDEX deliveries_expiring ON deliveries (expires_at) WHERE state = 'ready';
CREATE INDEX deliveries_leased ON deliveries (leased_until) WHERE state = 'leased';

CREATE TABLE attempts (
  delivery_id   BLOB NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
  number        INTEGER NOT NULL,
  tenant_id     TEXT NOT NULL REFERENCES tenants (id),
  started_at    INTEGER NOT NULL,
  duration_us   INTEGER,
  outcome       TEXT NOT NULL, -- answered, refused, not_reached, unknown, interrupted
  status        INTEGER,
  content_type  TEXT,
  sealed_answer BLOB,
  error         TEXT,
  PRIMARY KEY (delivery_id, number)
) STRICT;

CREATE TABLE audit (
  id        INTEGER PRIMARY KEY,
  at        INTEGER NOT NULL,
  tenant_id TEXT NOT NULL,
  actor     TEXT NOT NULL,
  action    TEXT NOT NULL,
  subject   TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_tenant ON audit (tenant_id, id);

-- By whom and for what a POST was made before.
CREATE TABLE idempotency_keys (
  scope        TEXT NOT NULL,
  key          TEXT NOT NULL,
  request_hash BLOB NOT NULL,
  at           INTEGER NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

-- One row, written to see that writing works.
CREATE TABLE readiness (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL
) STRICT;
