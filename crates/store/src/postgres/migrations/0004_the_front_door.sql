-- What was stored under a key: when Slack sends it again, that is counted there.
ALTER TABLE seen ADD COLUMN request_id uuid;
ALTER TABLE inbox ADD COLUMN retries bigint NOT NULL DEFAULT 0;
ALTER TABLE inbox ADD COLUMN retry_reason text;
-- How often something was said to its response_url: Slack takes five answers.
ALTER TABLE inbox ADD COLUMN responses bigint NOT NULL DEFAULT 0;
-- The message that an event is about, as channel/ts: a mention comes as app_mention and as message.
ALTER TABLE inbox ADD COLUMN message text;

-- The workspaces in which an org-wide installation may act, as a JSON list; null until Slack has told of any.
ALTER TABLE installations ADD COLUMN granted_teams text;
-- When Slack last held back events because there were too many.
ALTER TABLE installations ADD COLUMN rate_limited_at bigint;
-- When Slack ended it. Kept for a day without its credentials: what Slack still has to say of it is the tenant's.
ALTER TABLE installations ADD COLUMN removed_at bigint;
CREATE INDEX installations_removed ON installations (removed_at) WHERE removed_at IS NOT NULL;

-- Channels whose id changed, as when one is shared: what is addressed to the old one goes to the new.
CREATE TABLE moved_channels (
  installation_id uuid NOT NULL,
  channel         text NOT NULL,
  moved_to        text NOT NULL,
  PRIMARY KEY (installation_id, channel)
);

-- Endpoints that were made by the API, besides those that a server declares when it starts. Their `active` is
-- never set: an older server would take them for its own, and sign for them with its own secret.
ALTER TABLE endpoints ADD COLUMN is_declared boolean NOT NULL DEFAULT true;
-- Removed by the API. The row stays, so that what waits for it, however much, can be ended in parts.
ALTER TABLE endpoints ADD COLUMN is_removed boolean NOT NULL DEFAULT false;
