-- The same tables as SQLite's, by the same numbers. Times are microseconds since 1970; columns named sealed_…
-- hold ciphertext (see keyring.rs). Where words from outside rest, NUL is escaped (see value.rs): PostgreSQL's
-- text cannot hold it.
--
-- Rows that every request writes refer to nothing: a reference is checked row by row and locks what it refers to,
-- here the tenant's and the endpoint's one row. What belongs together is deleted together by the code instead.

CREATE TABLE tenants (
  id         text PRIMARY KEY,
  name       text,
  created_at bigint NOT NULL
);

CREATE TABLE api_keys (
  id           uuid PRIMARY KEY,
  tenant_id    text REFERENCES tenants (id), -- null: a platform key
  secret_hash  bytea NOT NULL UNIQUE,
  scopes       text NOT NULL,
  created_at   bigint NOT NULL,
  expires_at   bigint,
  last_used_at bigint,
  revoked_at   bigint
);

CREATE TABLE installations (
  id                    uuid PRIMARY KEY,
  tenant_id             text NOT NULL REFERENCES tenants (id),
  install_key           text NOT NULL UNIQUE, -- app_id/T… or app_id/E…
  place                 text NOT NULL,        -- the part after the slash
  app_id                text NOT NULL,
  team_id               text,
  team_name             text,
  enterprise_id         text,
  enterprise_name       text,
  is_enterprise_install boolean NOT NULL,
  scopes                text NOT NULL,
  bot_user_id           text,
  bot_id                text,
  health                text NOT NULL,
  installed_at          bigint NOT NULL,
  updated_at            bigint NOT NULL
);
CREATE INDEX installations_by_tenant ON installations (tenant_id, id);
CREATE INDEX installations_by_place ON installations (place);

-- Each tenant's credentials rest in a schema of its own and nowhere else. This goes into one: sets the search
-- path for the rest of the transaction, so that `credentials` means this tenant's; makes or migrates the schema
-- where that is wanted. False: there is no such schema.
CREATE FUNCTION enter_tenant(tenant text, make boolean) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  room text := 'tenant_' || tenant;
BEGIN
  IF make THEN
    -- That something is there already is no news.
    PERFORM set_config('client_min_messages', 'warning', true);
    -- Two that make one schema at once would meet in the catalogue.
    PERFORM pg_advisory_xact_lock(hashtextextended(room, 0));
    EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', room);
    EXECUTE format(
      'CREATE TABLE IF NOT EXISTS %I.credentials (
         installation_id      uuid NOT NULL,
         kind                 text NOT NULL,
         sealed_token         bytea NOT NULL,
         sealed_refresh_token bytea,
         expires_at           bigint,
         generation           bigint NOT NULL, -- counts what was stored: whoever renews a token names the one it read
         PRIMARY KEY (installation_id, kind)
       )', room);
  ELSIF to_regnamespace(quote_ident(room)) IS NULL THEN
    RETURN false;
  END IF;
  PERFORM set_config('search_path', quote_ident(room) || ', ' || current_setting('search_path'), true);
  RETURN true;
END $$;

CREATE TABLE connect_links (
  id          uuid PRIMARY KEY,
  tenant_id   text NOT NULL REFERENCES tenants (id),
  secret_hash bytea NOT NULL UNIQUE,
  return_to   text,
  created_at  bigint NOT NULL,
  expires_at  bigint NOT NULL,
  consumed_at bigint
);

-- Consumed nonces of OAuth states. Kept until the state has expired anyway.
CREATE TABLE nonces (
  hash       bytea PRIMARY KEY,
  expires_at bigint NOT NULL
);
CREATE INDEX nonces_by_expiry ON nonces (expires_at);

CREATE TABLE endpoints (
  id            uuid PRIMARY KEY,
  name          text NOT NULL UNIQUE,
  target        text NOT NULL, -- in_process, slack
  url           text,
  filters       text NOT NULL, -- JSON list
  tenants       text NOT NULL, -- JSON list; ["*"] is every tenant
  active        boolean NOT NULL,
  sealed_secret bytea,
  created_at    bigint NOT NULL
);

-- What was accepted before, by install key and event_id, or by signature.
CREATE TABLE seen (
  key     bytea PRIMARY KEY,
  seen_at bigint NOT NULL
);
CREATE INDEX seen_by_age ON seen (seen_at);

CREATE TABLE inbox (
  id              uuid PRIMARY KEY,
  tenant_id       text, -- null: unclaimed
  installation_id uuid,
  kind            text NOT NULL,
  name            text NOT NULL,
  slack_id        text,
  team_id         text,
  received_at     bigint NOT NULL,
  expires_at      bigint NOT NULL,
  content_type    text,
  sealed_body     bytea NOT NULL,
  answer          text NOT NULL -- not_held, waiting, answered, fallback, unanswered
);
-- Sealed bytes do not shrink: trying would only take time.
ALTER TABLE inbox ALTER COLUMN sealed_body SET STORAGE EXTERNAL;
CREATE INDEX inbox_by_tenant ON inbox (tenant_id, id);
CREATE INDEX inbox_waiting ON inbox (received_at) WHERE answer = 'waiting';

CREATE TABLE deliveries (
  id           uuid PRIMARY KEY,
  tenant_id    text NOT NULL,
  request_id   uuid NOT NULL,
  endpoint_id  uuid NOT NULL,
  answers      boolean NOT NULL, -- this endpoint's words are the answer to Slack
  state        text NOT NULL,    -- ready, leased, delivered, dead
  attempt      bigint NOT NULL,  -- the number of the last attempt; fences those who come late
  next_at      bigint,           -- while ready
  leased_until bigint,           -- while leased; by the database's clock
  dead_reason  text,
  expires_at   bigint NOT NULL
);
CREATE INDEX deliveries_by_request ON deliveries (request_id);
CREATE INDEX deliveries_due ON deliveries (endpoint_id, next_at) WHERE state = 'ready';
CREATE INDEX deliveries_expiring ON deliveries (expires_at) WHERE state = 'ready';
CREATE INDEX deliveries_leased ON deliveries (leased_until) WHERE state = 'leased';

CREATE TABLE attempts (
  delivery_id   uuid NOT NULL,
  number        bigint NOT NULL,
  tenant_id     text NOT NULL,
  started_at    bigint NOT NULL,
  duration_us   bigint,
  outcome       text NOT NULL, -- answered, refused, not_reached, unknown, interrupted
  status        bigint,
  content_type  text,
  sealed_answer bytea,
  error         text,
  PRIMARY KEY (delivery_id, number)
);
ALTER TABLE attempts ALTER COLUMN sealed_answer SET STORAGE EXTERNAL;

CREATE TABLE audit (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at        bigint NOT NULL,
  tenant_id text NOT NULL,
  actor     text NOT NULL,
  action    text NOT NULL,
  subject   text NOT NULL
);
CREATE INDEX audit_by_tenant ON audit (tenant_id, id);

-- By whom and for what a POST was made before.
CREATE TABLE idempotency_keys (
  scope        text NOT NULL,
  key          text NOT NULL,
  request_hash bytea NOT NULL,
  at           bigint NOT NULL,
  PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (at);

-- One row, written to see that writing works.
CREATE TABLE readiness (
  id integer PRIMARY KEY,
  at bigint NOT NULL
);
