-- The application's own rows of these users, of whom nothing was known before their events, were not
-- written. Where it is because the row is newer, that is known from now on; returns those. A trigger may
-- have left out the others. The column id may have a collation of its own, so the comparison names one.
UPDATE clerk_sync.versions AS known
   SET updated_at = least(present."updatedAt", '9999-12-31'), event_at = '-infinity', svix_id = ''
  FROM users AS present
 WHERE known.family = 'user'
   AND present.id::text COLLATE "C" = known.object_id
   AND present.id = ANY($1::text[])
   AND known.object_id = ANY($1::text[])
   AND present."updatedAt" > known.updated_at
RETURNING known.object_id
