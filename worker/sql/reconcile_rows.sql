-- The next $2 rows after the user $1. Infinite times have no place in the driver's type.
SELECT id::text, least(greatest("updatedAt", '0001-01-01'), '9999-12-31')
  FROM users
 WHERE id > $1
 ORDER BY id
 LIMIT $2
