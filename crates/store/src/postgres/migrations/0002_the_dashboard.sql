-- People at the dashboard, and messages to Slack.

CREATE TABLE dashboard_links (
  id          uuid PRIMARY KEY,
  tenant_id   text NOT NULL REFERENCES tenants (id),
  secret_hash bytea NOT NULL UNIQUE,
  scopes      text NOT NULL,
  return_to   text,
  single_use  boolean NOT NULL,
  created_at  bigint NOT NULL,
  expires_at  bigint NOT NULL,
  used_at     bigint
);
CREATE INDEX dashboard_links_by_expiry ON dashboard_links (expires_at);

CREATE TABLE sessions (
  secret_hash bytea PRIMARY KEY,
  tenant_id   text NOT NULL REFERENCES tenants (id),
  scopes      text NOT NULL,
  name        text NOT NULL,
  created_at  bigint NOT NULL,
  expires_at  bigint NOT NULL
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE messages (
  seq              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- the order in which they were accepted: ids only know the millisecond
  id               uuid NOT NULL UNIQUE,
  tenant_id        text NOT NULL REFERENCES tenants (id),
  installation_id  uuid NOT NULL, -- no reference: the record outlives the installation
  channel          text NOT NULL, -- as the caller named it
  lane             text NOT NULL,
  state            text NOT NULL, -- queued, sending, sent, failed, uncertain, held, cancelled, expired
  attempt          bigint NOT NULL, -- the number of the last attempt; fences those who come late
  accepted_at      bigint NOT NULL,
  expires_at       bigint NOT NULL,
  sealed_arguments bytea NOT NULL,
  posted_channel   text,
  ts               text,
  error            text
);
ALTER TABLE messages ALTER COLUMN sealed_arguments SET STORAGE EXTERNAL;
CREATE INDEX messages_by_tenant ON messages (tenant_id, id);
CREATE INDEX messages_waiting ON messages (installation_id, lane, seq) WHERE state = 'queued';
CREATE INDEX messages_sending ON messages (installation_id, lane) WHERE state = 'sending';
CREATE INDEX messages_expiring ON messages (expires_at) WHERE state = 'queued';

CREATE TABLE message_attempts (
  message_id  uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
  number      bigint NOT NULL,
  started_at  bigint NOT NULL,
  duration_us bigint,
  outcome     text NOT NULL, -- sent, refused, limited, not_reached, unknown, interrupted
  error       text,
  PRIMARY KEY (message_id, number)
);

-- The order and pace of one channel of one installation. Its times are by the database's clock, so that the pace
-- holds across replicas whose own clocks differ.
CREATE TABLE lanes (
  installation_id uuid NOT NULL,
  lane            text NOT NULL,   -- the channel's id once Slack told it, else its name
  waiting         bigint NOT NULL, -- messages that are queued
  next_at         bigint NOT NULL, -- when the next may go
  leased_until    bigint,          -- while one is on its way
  PRIMARY KEY (installation_id, lane)
);
CREATE INDEX lanes_due ON lanes (next_at) WHERE waiting > 0 AND leased_until IS NULL;
CREATE INDEX lanes_leased ON lanes (leased_until) WHERE leased_until IS NOT NULL;

-- Which channel Slack meant by a name (or by a user's id): two spellings share one lane. Only the lane follows
-- it: what goes to Slack is what the caller wrote, as names may change hands.
CREATE TABLE lane_names (
  installation_id uuid NOT NULL,
  name            text NOT NULL,
  lane            text NOT NULL,
  PRIMARY KEY (installation_id, name)
);

-- How many messages of a tenant are queued: counted here, as counting a million rows takes too long.
CREATE TABLE outbox_waiting (
  tenant_id text PRIMARY KEY REFERENCES tenants (id),
  waiting   bigint NOT NULL
);

-- What was made under a key: whoever asks again gets the same answer.
ALTER TABLE idempotency_keys ADD COLUMN made uuid;
