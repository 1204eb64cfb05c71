-- Who holds the addresses $1, and which address the users $2 hold.
SELECT id::text, email::text
  FROM users
 WHERE email = ANY($1::text[]) OR id = ANY($2::text[])
