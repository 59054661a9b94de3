-- First attempts go by turns and not by age, so that one tenant's flood is before nobody else's first word. Retries go by
-- their time.
ALTER TABLE deliveries ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
DROP INDEX deliveries_due;
CREATE INDEX deliveries_first ON deliveries (endpoint_id, turn) WHERE state = 'ready' AND attempt = 0;
CREATE INDEX deliveries_again ON deliveries (endpoint_id, next_at) WHERE state = 'ready' AND attempt > 0;
CREATE INDEX deliveries_dead ON deliveries (id) WHERE state = 'dead';

-- What an endpoint takes at once; null for the usual.
ALTER TABLE endpoints ADD COLUMN in_flight INTEGER;
ALTER TABLE endpoints ADD COLUMN is_paused INTEGER NOT NULL DEFAULT 0;
-- After a rotation, for a while.
ALTER TABLE endpoints ADD COLUMN sealed_secret_before BLOB;
ALTER TABLE endpoints ADD COLUMN secret_before_until INTEGER;
-- How it does: null while it is well.
ALTER TABLE endpoints ADD COLUMN failing_since INTEGER;
ALTER TABLE endpoints ADD COLUMN failing_because TEXT;
ALTER TABLE endpoints ADD COLUMN exhausted_at INTEGER;
ALTER TABLE endpoints ADD COLUMN disabled_at INTEGER;
