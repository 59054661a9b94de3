-- How far bodies were deleted by age: rows are gone through in the order of their ids, which is that of their times.
CREATE TABLE forgotten (
  what TEXT PRIMARY KEY, -- inbox, messages
  upto BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What old lanes and links are found by.
CREATE INDEX lanes_idle ON lanes (next_at) WHERE waiting = 0 AND leased_until IS NULL;
CREATE INDEX connect_links_by_expiry ON connect_links (expires_at);

-- Deliveries and attempts refer to the tenant no more: to erase one, both tables would be gone through from end to
-- end. They belong to a request, and go with it. (References are off while this runs; see migrate.rs.)
CREATE TABLE deliveries_anew (
  id           BLOB PRIMARY KEY,
  tenant_id    TEXT NOT NULL,
  request_id   BLOB NOT NULL REFERENCES inbox (id) ON DELETE CASCADE,
  endpoint_id  BLOB NOT NULL,
  answers      INTEGER NOT NULL, -- this endpoint's words are the answer to Slack
  state        TEXT NOT NULL,    -- ready, leased, delivered, dead
  attempt      INTEGER NOT NULL, -- the number of the last attempt; fences those who come late
  next_at      INTEGER,          -- while ready
  leased_until INTEGER,          -- while leased
  dead_reason  TEXT,
  expires_at   INTEGER NOT NULL
) STRICT;
INSERT INTO deliveries_anew SELECT * FROM deliveries;
DROP TABLE deliveries;
ALTER TABLE deliveries_anew RENAME TO deliveries;
CREATE INDEX deliveries_by_request ON deliveries (request_id);
CREATE INDEX deliveries_due ON deliveries (endpoint_id, next_at) WHERE state = 'ready';
CREATE INDEX deliveries_expiring ON deliveries (expires_at) WHERE state = 'ready';
CREATE INDEX deliveries_leased ON deliveries (leased_until) WHERE state = 'leased';

CREATE TABLE attempts_anew (
  delivery_id   BLOB NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
  number        INTEGER NOT NULL,
  tenant_id     TEXT NOT NULL,
  started_at    INTEGER NOT NULL,
  duration_us   INTEGER,
  outcome       TEXT NOT NULL, -- answered, refused, not_reached, unknown, interrupted
  status        INTEGER,
  content_type  TEXT,
  sealed_answer BLOB,
  error         TEXT,
  PRIMARY KEY (delivery_id, number)
) STRICT;
INSERT INTO attempts_anew SELECT * FROM attempts;
DROP TABLE attempts;
ALTER TABLE attempts_anew RENAME TO attempts;
