-- How far bodies were deleted by age: rows are gone through in the order of their ids, which is that of their times.
CREATE TABLE forgotten (
  what text PRIMARY KEY, -- inbox, messages
  upto uuid NOT NULL
);

-- Ends a tenant's schema, if there is one; how many credentials were in it.
CREATE FUNCTION leave_tenant(tenant text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  room text := 'tenant_' || tenant;
  there bigint := 0;
BEGIN
  IF to_regnamespace(quote_ident(room)) IS NOT NULL THEN
    EXECUTE format('SELECT count(*) FROM %I.credentials', room) INTO there;
    EXECUTE format('DROP SCHEMA %I CASCADE', room);
  END IF;
  RETURN there;
END $$;
