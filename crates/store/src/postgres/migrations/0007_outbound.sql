-- What a message does, and the message of ours that it is about.
ALTER TABLE messages ADD COLUMN operation text NOT NULL DEFAULT 'post';
ALTER TABLE messages ADD COLUMN about uuid;
-- Its place in its lane: 0 for what answers a person, 1 for the rest.
ALTER TABLE messages ADD COLUMN rank bigint NOT NULL DEFAULT 1;
-- It waits until then in no lane: its lane is empty so long.
ALTER TABLE messages ADD COLUMN starts_at bigint;
-- Nobody knows whether Slack has it: since the attempt began, and since it ended. It keeps its place in its lane.
ALTER TABLE messages ADD COLUMN doubt_since bigint;
ALTER TABLE messages ADD COLUMN doubt_at bigint;
ALTER TABLE messages ADD COLUMN on_uncertain text NOT NULL DEFAULT 'resend'; -- resend, hold
ALTER TABLE messages ADD COLUMN is_possible_duplicate boolean NOT NULL DEFAULT false;
-- The route by which its channel was found.
ALTER TABLE messages ADD COLUMN route text;
DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages (installation_id, lane, rank, seq)
  WHERE state = 'queued' OR doubt_since IS NOT NULL;
CREATE INDEX messages_scheduled ON messages (starts_at) WHERE lane = '' AND state = 'queued';
CREATE INDEX messages_posted ON messages (installation_id, ts) WHERE ts IS NOT NULL;

-- Lanes that are due go by their turns, so that one tenant's flood is before nobody else's first message.
ALTER TABLE lanes ADD COLUMN turn bigint NOT NULL DEFAULT 0;
-- Since when its head has tried in vain; null while it moves.
ALTER TABLE lanes ADD COLUMN parked_since bigint;
CREATE INDEX lanes_turn ON lanes (turn) WHERE waiting > 0 AND leased_until IS NULL;
CREATE INDEX lanes_parked ON lanes (parked_since) WHERE parked_since IS NOT NULL;
ALTER TABLE outbox_waiting ADD COLUMN turn_at bigint NOT NULL DEFAULT 0;

-- How much of a method a workspace has used up; see tautline_core::pace.
CREATE TABLE paces (
  installation_id uuid NOT NULL,
  method          text NOT NULL,
  used_until      bigint NOT NULL,
  rests_until     bigint NOT NULL,
  limited_lane    text,             -- the lane whose post Slack refused last, and until when
  limited_until   bigint,
  slow_until      bigint NOT NULL,
  PRIMARY KEY (installation_id, method)
);
CREATE INDEX paces_past ON paces (used_until);

-- Which notifications of a workspace go to which channels.
CREATE TABLE routes (
  tenant_id  text NOT NULL REFERENCES tenants (id) ON DELETE CASCADE,
  place      text NOT NULL, -- T… or E…
  name       text NOT NULL, -- a name, a beginning with .*, or default
  channels   text NOT NULL, -- ids, with commas
  is_enabled boolean NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (tenant_id, place, name)
);

-- Which channels there are, as far as the app can see, and how far the look for them has come.
CREATE TABLE channels (
  installation_id uuid NOT NULL REFERENCES installations (id) ON DELETE CASCADE,
  channel         text NOT NULL,
  name            text NOT NULL,
  is_private      boolean NOT NULL,
  is_member       boolean NOT NULL,
  dead            text,            -- Slack's word why nothing can be posted there
  crawl           bigint NOT NULL, -- the last that saw it
  PRIMARY KEY (installation_id, channel)
);
CREATE INDEX channels_by_name ON channels (installation_id, name);
CREATE TABLE directories (
  installation_id uuid PRIMARY KEY REFERENCES installations (id) ON DELETE CASCADE,
  tenant_id       text NOT NULL,
  crawl           bigint NOT NULL,
  cursor          text,
  due_at          bigint NOT NULL,
  crawled_at      bigint,
  error           text
);
CREATE INDEX directories_due ON directories (due_at);
INSERT INTO directories (installation_id, tenant_id, crawl, due_at) SELECT id, tenant_id, 1, 0 FROM installations;
