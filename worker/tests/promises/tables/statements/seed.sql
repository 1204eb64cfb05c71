-- update
UPDATE "public"."users" AS present
   SET "name" = winner.c0,
       "email" = winner.c1,
       "imageUrl" = winner.c2,
       "createdAt" = winner.c3,
       "updatedAt" = winner.c4
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS winner (object_id, c0, c1, c2, c3, c4)
 WHERE present."id" = winner.object_id
RETURNING winner.object_id;

-- update older rows
UPDATE "public"."users" AS present
   SET "name" = winner.c0,
       "email" = winner.c1,
       "imageUrl" = winner.c2,
       "createdAt" = winner.c3,
       "updatedAt" = winner.c4
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[])
    AS winner (object_id, c0, c1, c2, c3, c4, updated_at)
 WHERE present."id" = winner.object_id
   AND (present."updatedAt" > winner.updated_at::timestamp without time zone) IS NOT TRUE
RETURNING winner.object_id;

-- insert
INSERT INTO "public"."users" AS present ("id", "name", "email", "imageUrl", "createdAt", "updatedAt")
SELECT winner.object_id,
       winner.c0,
       winner.c1,
       winner.c2,
       winner.c3,
       winner.c4
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS winner (object_id, c0, c1, c2, c3, c4)
 WHERE NOT EXISTS (SELECT FROM "public"."users" AS present WHERE present."id" = winner.object_id)
 ORDER BY winner.object_id COLLATE "C"
RETURNING present."id"::text;

-- adopt the times of newer rows
UPDATE clerk_sync.versions AS known
   SET updated_at = least(present."updatedAt", '9999-12-31'), event_at = '-infinity', svix_id = ''
  FROM unnest($1::text[])
    AS winner (object_id)
  JOIN "public"."users" AS present ON present."id" = winner.object_id
 WHERE known.family = 'user'
   AND known.object_id = winner.object_id
   AND present."updatedAt" > known.updated_at
RETURNING known.object_id;

-- delete
DELETE FROM "public"."users" AS present
 USING unnest($1::text[])
    AS gone (object_id)
 WHERE present."id" = gone.object_id
RETURNING gone.object_id;

-- rows of objects
SELECT winner.object_id, present.tableoid || ' ' || present.ctid::text, coalesce(present."updatedAt" > winner.updated_at::timestamp without time zone, false), true
  FROM unnest($1::text[], $2::timestamptz[])
    AS winner (object_id, updated_at)
  JOIN "public"."users" AS present ON present."id" = winner.object_id;

-- compare
SELECT winner.object_id,
       present."id" IS NOT NULL,
       array_remove(ARRAY[
       CASE WHEN present."name"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C" THEN NULL ELSE 'name' END,
       CASE WHEN present."email"::text COLLATE "C" IS NOT DISTINCT FROM winner.c1::text COLLATE "C" THEN NULL ELSE 'email' END,
       CASE WHEN present."imageUrl"::text COLLATE "C" IS NOT DISTINCT FROM winner.c2::text COLLATE "C" THEN NULL ELSE 'imageUrl' END,
       CASE WHEN present."createdAt" IS NOT DISTINCT FROM winner.c3::timestamp without time zone THEN NULL ELSE 'createdAt' END,
       CASE WHEN present."updatedAt" IS NOT DISTINCT FROM winner.c4::timestamp without time zone THEN NULL ELSE 'updatedAt' END]::text[], NULL),
       coalesce(md5(ROW(present."name", present."email", present."imageUrl", present."createdAt", present."updatedAt")::text) = known.altered, false),
       false,
       least(greatest(known.updated_at, '0001-01-01'), '9999-12-31'),
       greatest(known.event_at, '0001-01-01'),
       known.deleted,
       known.svix_id = ''
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS winner (object_id, c0, c1, c2, c3, c4)
  LEFT JOIN "public"."users" AS present ON present."id" = winner.object_id
  LEFT JOIN clerk_sync.versions AS known ON known.family = 'user' AND known.object_id = winner.object_id;

-- remember what triggers have altered
UPDATE clerk_sync.versions AS known
   SET altered = md5(ROW(present."name", present."email", present."imageUrl", present."createdAt", present."updatedAt")::text)
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS winner (object_id, c0, c1, c2, c3, c4)
  JOIN "public"."users" AS present ON present."id" = winner.object_id
 WHERE known.family = 'user' AND known.object_id = winner.object_id
   AND NOT (true
   AND present."name"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C"
   AND present."email"::text COLLATE "C" IS NOT DISTINCT FROM winner.c1::text COLLATE "C"
   AND present."imageUrl"::text COLLATE "C" IS NOT DISTINCT FROM winner.c2::text COLLATE "C"
   AND present."createdAt" IS NOT DISTINCT FROM winner.c3::timestamp without time zone
   AND present."updatedAt" IS NOT DISTINCT FROM winner.c4::timestamp without time zone);

-- rows after another
SELECT present."id"::text, least(greatest(present."updatedAt", '0001-01-01'), '9999-12-31')::timestamptz, coalesce(known.deleted, false)
  FROM "public"."users" AS present
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present."id"::text COLLATE "C"
 WHERE present."id"::text > $1
 ORDER BY present."id"::text
 LIMIT $2;

-- holders of a unique value
SELECT wish.n, min(wish.n) OVER (PARTITION BY wish.wanted), present.tableoid || ' ' || present.ctid::text, present."id"::text, known.svix_id
  FROM unnest($1::text[]) WITH ORDINALITY
    AS wish (wanted, n)
  LEFT JOIN "public"."users" AS present ON present."email" = wish.wanted
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present."id"::text COLLATE "C"
 ORDER BY wish.n;

-- vacate a unique value
UPDATE "public"."users" AS present
   SET "email" = left(left(md5(present."id"::text), 240) || '@moving.invalid', 255)
 WHERE present."email" = ANY($1::text[]);

