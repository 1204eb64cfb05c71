-- The application's own rows of these users, of whom nothing was known before their events, were not
-- written. Where it is because the row is newer, that is known from now on; returns those. A trigger may
-- have left out the others. The column id may have a collation of its own, so the comparison names one.
UPDATE clerk_sync.user_versions AS known
   SET updated_at = least(present."updatedAt", '9999-12-31'), event_at = '-infinity', svix_id = ''
  FROM users AS present
 WHERE present.id::text COLLATE "C" = known.user_id
   AND present.id = ANY($1::text[])
   AND known.user_id = ANY($1::text[])
   AND present."updatedAt" > known.updated_at
RETURNING known.user_id
