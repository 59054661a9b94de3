-- How far bodies were deleted by age: rows are gone through in the order of their ids, which is that of their times.
CREATE TABLE forgotten (
  what TEXT PRIMARY KEY, -- inbox, messages
  upto BLOB NOT NULL
) STRICT, WITHOUT ROWID;
