-- The next $2 rows after the user $1, and whether a deletion of the user was applied. Infinite times have
-- no place in the driver's type.
SELECT present.id::text,
       least(greatest(present."updatedAt", '0001-01-01'), '9999-12-31'),
       coalesce(known.deleted, false)
  FROM users AS present
  LEFT JOIN clerk_sync.user_versions AS known ON known.user_id = present.id
 WHERE present.id > $1
 ORDER BY present.id
 LIMIT $2
