-- Who holds the addresses $1, and which address the users $2 hold. A time that is missing (greatest passes
-- over NULL) counts as the oldest; one that is infinite, or before or after ours, has no place in the
-- driver's type.
SELECT coalesce(id::text, ''), email::text,
       least(greatest("updatedAt", '0001-01-01'), '9999-12-31')::timestamptz
  FROM users
 WHERE email = ANY($1::text[]) OR id = ANY($2::text[])
