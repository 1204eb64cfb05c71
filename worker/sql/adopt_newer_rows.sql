-- The application's own row is newer than what we know of the user: from now on that is known. The
-- column id may have a collation of its own, so the comparison names one.
UPDATE clerk_sync.user_versions AS known
   SET updated_at = present."updatedAt", event_at = '-infinity', svix_id = ''
  FROM users AS present
 WHERE present.id COLLATE "C" = known.user_id
   AND present.id = ANY($1::text[])
   AND known.user_id = ANY($1::text[])
