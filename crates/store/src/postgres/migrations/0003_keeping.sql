-- How far bodies were deleted by age: rows are gone through in the order of their ids, which is that of their times.
CREATE TABLE forgotten (
  what text PRIMARY KEY, -- inbox, messages
  upto uuid NOT NULL
);

-- What old lanes and links are found by.
CREATE INDEX lanes_idle ON lanes (next_at) WHERE waiting = 0 AND leased_until IS NULL;
CREATE INDEX connect_links_by_expiry ON connect_links (expires_at);

-- Ends a tenant's schema, if there is one; how many credentials were in it. What somebody else put there stays.
CREATE FUNCTION leave_tenant(tenant text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  room text := 'tenant_' || tenant;
  there bigint := 0;
BEGIN
  IF to_regnamespace(quote_ident(room)) IS NOT NULL THEN
    IF to_regclass(quote_ident(room) || '.credentials') IS NOT NULL THEN
      EXECUTE format('SELECT count(*) FROM %I.credentials', room) INTO there;
      EXECUTE format('DROP TABLE %I.credentials', room);
    END IF;
    BEGIN
      EXECUTE format('DROP SCHEMA %I RESTRICT', room);
    EXCEPTION WHEN dependent_objects_still_exist THEN
      NULL;
    END;
  END IF;
  RETURN there;
END $$;
