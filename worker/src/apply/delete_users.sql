DELETE FROM users WHERE id = ANY($1::text[])
