-- First attempts go by turns and not by age, so that one tenant's flood is before nobody else's first word. Retries go by
-- their time.
ALTER TABLE deliveries ADD COLUMN turn bigint NOT NULL DEFAULT 0;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_first ON deliveries (endpoint_id, turn) WHERE state = 'ready' AND attempt = 0;
CREATE INDEX deliveries_again ON deliveries (endpoint_id, next_at) WHERE state = 'ready' AND attempt > 0;
CREATE INDEX deliveries_dead ON deliveries (id) WHERE state = 'dead';

-- What an endpoint takes at once; null for the usual.
ALTER TABLE endpoints ADD COLUMN in_flight bigint;
ALTER TABLE endpoints ADD COLUMN is_paused boolean NOT NULL DEFAULT false;
-- After a rotation, for a while.
ALTER TABLE endpoints ADD COLUMN sealed_secret_before bytea;
ALTER TABLE endpoints ADD COLUMN secret_before_until bigint;
-- How it does: null while it is well.
ALTER TABLE endpoints ADD COLUMN failing_since bigint;
ALTER TABLE endpoints ADD COLUMN failing_because text;
ALTER TABLE endpoints ADD COLUMN exhausted_at bigint;
ALTER TABLE endpoints ADD COLUMN disabled_at bigint;
