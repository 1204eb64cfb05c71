-- Locks the rows' owners among objects ($2, of the family $1), and tells the keys of their rows. Who waits here for another
-- transaction sees what that one has made of it: a row that is another object's by then is not told.
SELECT object_id, row_key
  FROM clerk_sync.owners
 WHERE family = $1::text AND object_id = ANY($2::text[])
 ORDER BY row_key
   FOR UPDATE
