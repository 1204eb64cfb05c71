-- The objects whose rows these events ($1) of other objects have changed or removed.
SELECT family, object_id
  FROM clerk_sync.versions
 WHERE touched_by = ANY($1::text[])
