-- The application's own row is newer than what we know of the user: from now on that is known.
UPDATE clerk_sync.user_versions AS known
   SET updated_at = present."updatedAt", event_at = '-infinity', svix_id = ''
  FROM users AS present
 WHERE present.id = known.user_id
   AND known.user_id = ANY($1::text[])
