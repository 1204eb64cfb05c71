-- The next $2 rows after the user $1, and whether a deletion of the user was applied. The order is that of
-- the column's collation, as texts; with our column, which has another one, it is compared byte by byte.
-- About times see addresses_held.sql.
SELECT present.id::text,
       least(greatest(present."updatedAt", '0001-01-01'), '9999-12-31')::timestamptz,
       coalesce(known.deleted, false)
  FROM users AS present
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present.id::text COLLATE "C"
 WHERE present.id::text > $1
 ORDER BY present.id::text
 LIMIT $2
