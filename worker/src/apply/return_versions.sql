-- Notes of objects ($2, of the family $1), which this transaction has locked, that they have rows again.
UPDATE clerk_sync.versions
   SET went_along = false, touched_by = NULL
 WHERE family = $1::text AND object_id = ANY($2::text[])
