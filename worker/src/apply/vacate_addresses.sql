-- Frees the addresses of users who are about to get another one in this very transaction, so that a
-- swap passes the unique constraint, which is checked row by row. No other transaction ever sees
-- the value; .invalid is reserved for such names (RFC 2606). $2 is how many characters the column takes.
UPDATE users
   SET email = left(left(md5(id::text), greatest($2::int - 15, 8)) || '@moving.invalid', $2::int)
 WHERE id = ANY($1::text[])
