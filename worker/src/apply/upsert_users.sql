-- Writes the rows of the winners and returns whose row was written. A user in $7 was not known
-- before: a row that is there already is the application's own, and stays if it is newer; NULL is not. The
-- times are compared first, because they seldom say so and the search in $7 takes long. A trigger may leave
-- a row out too: it is not returned either.
INSERT INTO users AS present (id, name, email, "imageUrl", "createdAt", "updatedAt")
SELECT id, name, email, image_url, created_at, updated_at
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS winner (id, name, email, image_url, created_at, updated_at)
 ORDER BY id COLLATE "C"
    ON CONFLICT (id) DO UPDATE
   SET name        = excluded.name,
       email       = excluded.email,
       "imageUrl"  = excluded."imageUrl",
       "createdAt" = excluded."createdAt",
       "updatedAt" = excluded."updatedAt"
 WHERE (present."updatedAt" > excluded."updatedAt" AND present.id = ANY($7::text[])) IS NOT TRUE
RETURNING present.id::text
