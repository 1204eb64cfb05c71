-- Frees the addresses of users who are about to get another one in this very transaction, so that a
-- swap passes the unique constraint, which is checked row by row. No other transaction ever sees
-- the value; .invalid is reserved for such names (RFC 2606).
UPDATE users SET email = md5(id::text) || '@moving.invalid' WHERE id = ANY($1::text[])
