-- Who holds the addresses $1, and which address the users $2 hold. An infinite time has no place in
-- the driver's type.
SELECT id::text, email::text, least("updatedAt", '9999-12-31')
  FROM users
 WHERE email = ANY($1::text[]) OR id = ANY($2::text[])
