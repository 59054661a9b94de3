-- People at the dashboard, and messages to Slack.

CREATE TABLE dashboard_links (
  id          BLOB PRIMARY KEY,
  tenant_id   TEXT NOT NULL REFERENCES tenants (id),
  secret_hash BLOB NOT NULL UNIQUE,
  scopes      TEXT NOT NULL,
  return_to   TEXT,
  single_use  INTEGER NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  used_at     INTEGER
) STRICT;
CREATE INDEX dashboard_links_by_expiry ON dashboard_links (expires_at);

CREATE TABLE sessions (
  secret_hash BLOB PRIMARY KEY,
  tenant_id   TEXT NOT NULL REFERENCES tenants (id),
  scopes      TEXT NOT NULL,
  name        TEXT NOT NULL,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE messages (
  seq              INTEGER PRIMARY KEY, -- the order in which they were accepted: ids only know the millisecond
  id               BLOB NOT NULL UNIQUE,
  tenant_id        TEXT NOT NULL REFERENCES tenants (id),
  installation_id  BLOB NOT NULL, -- no reference: the record outlives the installation
  channel          TEXT NOT NULL, -- as the caller named it
  lane             TEXT NOT NULL,
  state            TEXT NOT NULL, -- queued, sending, sent, failed, uncertain, held, cancelled, expired
  attempt          INTEGER NOT NULL, -- the number of the last attempt; fences those who come late
  accepted_at      INTEGER NOT NULL,
  expires_at       INTEGER NOT NULL,
  sealed_arguments BLOB NOT NULL,
  posted_channel   TEXT,
  ts               TEXT,
  error            TEXT
) STRICT;
CREATE INDEX messages_by_tenant ON messages (tenant_id, id);
CREATE INDEX messages_waiting ON messages (installation_id, lane, seq) WHERE state = 'queued';
CREATE INDEX messages_sending ON messages (installation_id, lane) WHERE state = 'sending';
CREATE INDEX messages_expiring ON messages (expires_at) WHERE state = 'queued';

CREATE TABLE message_attempts (
  message_id  BLOB NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  number      INTEGER NOT NULL,
  started_at  INTEGER NOT NULL,
  duration_us INTEGER,
  outcome     TEXT NOT NULL, -- sent, refused, limited, not_reached, unknown, interrupted
  error       TEXT,
  PRIMARY KEY (message_id, number)
) STRICT, WITHOUT ROWID;

-- The order and pace of one channel of one installation.
CREATE TABLE lanes (
  installation_id BLOB NOT NULL,
  lane            TEXT NOT NULL, -- the channel's id once Slack told it, else its name
  waiting         INTEGER NOT NULL, -- messages that are queued
  next_at         INTEGER NOT NULL, -- when the next may go
  leased_until    INTEGER,          -- while one is on its way
  PRIMARY KEY (installation_id, lane)
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_due ON lanes (next_at) WHERE waiting > 0 AND leased_until IS NULL;
CREATE INDEX lanes_leased ON lanes (leased_until) WHERE leased_until IS NOT NULL;

-- Which channel Slack meant by a name (or by a user's id): two spellings share one lane. Only the lane follows
-- it: what goes to Slack is what the caller wrote, as names may change hands.
CREATE TABLE lane_names (
  installation_id BLOB NOT NULL,
  name            TEXT NOT NULL,
  lane            TEXT NOT NULL,
  PRIMARY KEY (installation_id, name)
) STRICT, WITHOUT ROWID;

-- How many messages of a tenant are queued: counted here, as counting a million rows takes too long.
CREATE TABLE outbox_waiting (
  tenant_id TEXT PRIMARY KEY REFERENCES tenants (id),
  waiting   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What was made under a key: whoever asks again gets the same answer.
ALTER TABLE idempotency_keys ADD COLUMN made BLOB;
