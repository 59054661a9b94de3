-- What a message does, and the message of ours that it is about.
ALTER TABLE messages ADD COLUMN operation TEXT NOT NULL DEFAULT 'post';
ALTER TABLE messages ADD COLUMN about BLOB;
-- Its place in its lane: 0 for what answers a person, 1 for the rest.
ALTER TABLE messages ADD COLUMN rank INTEGER NOT NULL DEFAULT 1;
-- It waits until then in no lane: its lane is empty so long.
ALTER TABLE messages ADD COLUMN starts_at INTEGER;
-- Nobody knows whether Slack has it: since the attempt began, and since it ended. It keeps its place in its lane.
ALTER TABLE messages ADD COLUMN doubt_since INTEGER;
ALTER TABLE messages ADD COLUMN doubt_at INTEGER;
ALTER TABLE messages ADD COLUMN on_uncertain TEXT NOT NULL DEFAULT 'resend'; -- resend, hold
ALTER TABLE messages ADD COLUMN is_possible_duplicate INTEGER NOT NULL DEFAULT 0;
-- The route by which its channel was found.
ALTER TABLE messages ADD COLUMN route TEXT;
DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages (installation_id, lane, rank, seq)
  WHERE state = 'queued' OR doubt_since IS NOT NULL;
CREATE INDEX messages_scheduled ON messages (starts_at) WHERE lane = '' AND state = 'queued';
CREATE INDEX messages_posted ON messages (installation_id, ts) WHERE ts IS NOT NULL;

-- Lanes that are due go by their turns, so that one tenant's flood is before nobody else's first message.
ALTER TABLE lanes ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
-- Since when its head has tried in vain; null while it moves.
ALTER TABLE lanes ADD COLUMN parked_since INTEGER;
CREATE INDEX lanes_turn ON lanes (turn) WHERE waiting > 0 AND leased_until IS NULL;
CREATE INDEX lanes_parked ON lanes (parked_since) WHERE parked_since IS NOT NULL;
ALTER TABLE outbox_waiting ADD COLUMN turn_at INTEGER NOT NULL DEFAULT 0;

-- How much of a method a workspace has used up; see tautline_core::pace.
CREATE TABLE paces (
  installation_id BLOB NOT NULL,
  method          TEXT NOT NULL,
  used_until      INTEGER NOT NULL,
  rests_until     INTEGER NOT NULL,
  limited_lane    TEXT,             -- the lane whose post Slack refused last, and until when
  limited_until   INTEGER,
  slow_until      INTEGER NOT NULL,
  PRIMARY KEY (installation_id, method)
) STRICT, WITHOUT ROWID;
CREATE INDEX paces_past ON paces (used_until);

-- Which notifications of a workspace go to which channels.
CREATE TABLE routes (
  tenant_id  TEXT NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  place      TEXT NOT NULL, -- T… or E…
  name       TEXT NOT NULL, -- a name, a beginning with .*, or default
  channels   TEXT NOT NULL, -- ids, with commas
  is_enabled INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (tenant_id, place, name)
) STRICT, WITHOUT ROWID;

-- Which channels there are, as far as the app can see, and how far the look for them has come.
CREATE TABLE channels (
  installation_id BLOB NOT NULL REFERENCES installations (id) ON DELETE CASCADE,
  channel         TEXT NOT NULL,
  name            TEXT NOT NULL,
  is_private      INTEGER NOT NULL,
  is_member       INTEGER NOT NULL,
  dead            TEXT,            -- Slack's word why nothing can be posted there
  crawl           INTEGER NOT NULL, -- the last that saw it
  PRIMARY KEY (installation_id, channel)
) STRICT, WITHOUT ROWID;
CREATE INDEX channels_by_name ON channels (installation_id, name);
CREATE TABLE directories (
  installation_id BLOB PRIMARY KEY REFERENCES installations (id) ON DELETE CASCADE,
  tenant_id       TEXT NOT NULL,
  crawl           INTEGER NOT NULL,
  cursor          TEXT,
  due_at          INTEGER NOT NULL,
  crawled_at      INTEGER,
  error           TEXT
) STRICT;
CREATE INDEX directories_due ON directories (due_at);
INSERT INTO directories (installation_id, tenant_id, crawl, due_at) SELECT id, tenant_id, 1, 0 FROM installations;
