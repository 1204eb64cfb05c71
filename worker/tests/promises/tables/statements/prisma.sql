-- before rows are written
SELECT coalesce(present."clerkId"::text, ''), present."id"::text
  FROM "public"."User" AS present
 WHERE present."clerkId" = ANY($1::text[]);

-- update
UPDATE "public"."User" AS present
   SET "email" = winner.c0,
       "firstName" = winner.c1,
       "lastName" = winner.c2,
       "username" = winner.c3,
       "imageUrl" = winner.c4,
       "createdAt" = winner.c5,
       "updatedAt" = winner.c6
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
    AS winner (object_id, c0, c1, c2, c3, c4, c5, c6)
 WHERE present."clerkId" = winner.object_id
RETURNING winner.object_id, present."id"::text;

-- insert
INSERT INTO "public"."User" AS present ("clerkId", "email", "firstName", "lastName", "username", "imageUrl", "createdAt", "updatedAt", "id")
SELECT winner.object_id,
       winner.c0,
       winner.c1,
       winner.c2,
       winner.c3,
       winner.c4,
       winner.c5,
       winner.c6,
       gen_random_uuid()::text
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
    AS winner (object_id, c0, c1, c2, c3, c4, c5, c6)
 WHERE NOT EXISTS (SELECT FROM "public"."User" AS present WHERE present."clerkId" = winner.object_id)
 ORDER BY winner.object_id COLLATE "C"
RETURNING present."clerkId"::text, present."id"::text;

-- before rows are deleted
SELECT coalesce(present."clerkId"::text, ''), present."id"::text
  FROM "public"."User" AS present
 WHERE present."clerkId" = ANY($1::text[]);

-- delete
DELETE FROM "public"."User" AS present
 USING unnest($1::text[])
    AS gone (object_id)
 WHERE present."clerkId" = gone.object_id
RETURNING gone.object_id, present."id"::text;

-- rows of objects
SELECT winner.object_id, present.tableoid || ' ' || present.ctid::text, false, true
  FROM unnest($1::text[], $2::timestamptz[])
    AS winner (object_id, updated_at)
  JOIN "public"."User" AS present ON present."clerkId" = winner.object_id;

-- compare
SELECT winner.object_id,
       present."clerkId" IS NOT NULL,
       array_remove(ARRAY[
       CASE WHEN present."email"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C" THEN NULL ELSE 'email' END,
       CASE WHEN present."firstName"::text COLLATE "C" IS NOT DISTINCT FROM winner.c1::text COLLATE "C" THEN NULL ELSE 'firstName' END,
       CASE WHEN present."lastName"::text COLLATE "C" IS NOT DISTINCT FROM winner.c2::text COLLATE "C" THEN NULL ELSE 'lastName' END,
       CASE WHEN present."username"::text COLLATE "C" IS NOT DISTINCT FROM winner.c3::text COLLATE "C" THEN NULL ELSE 'username' END,
       CASE WHEN present."imageUrl"::text COLLATE "C" IS NOT DISTINCT FROM winner.c4::text COLLATE "C" THEN NULL ELSE 'imageUrl' END,
       CASE WHEN present."createdAt" IS NOT DISTINCT FROM winner.c5::timestamp(3) without time zone THEN NULL ELSE 'createdAt' END,
       CASE WHEN present."updatedAt" IS NOT DISTINCT FROM winner.c6::timestamp(3) without time zone THEN NULL ELSE 'updatedAt' END]::text[], NULL),
       coalesce(md5(ROW(present."email", present."firstName", present."lastName", present."username", present."imageUrl", present."createdAt", present."updatedAt")::text) = known.altered, false),
       false,
       least(greatest(known.updated_at, '0001-01-01'), '9999-12-31'),
       greatest(known.event_at, '0001-01-01'),
       known.deleted,
       known.svix_id = ''
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
    AS winner (object_id, c0, c1, c2, c3, c4, c5, c6)
  LEFT JOIN "public"."User" AS present ON present."clerkId" = winner.object_id
  LEFT JOIN clerk_sync.versions AS known ON known.family = 'user' AND known.object_id = winner.object_id;

-- remember what triggers have altered
UPDATE clerk_sync.versions AS known
   SET altered = md5(ROW(present."email", present."firstName", present."lastName", present."username", present."imageUrl", present."createdAt", present."updatedAt")::text)
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
    AS winner (object_id, c0, c1, c2, c3, c4, c5, c6)
  JOIN "public"."User" AS present ON present."clerkId" = winner.object_id
 WHERE known.family = 'user' AND known.object_id = winner.object_id
   AND NOT (true
   AND present."email"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C"
   AND present."firstName"::text COLLATE "C" IS NOT DISTINCT FROM winner.c1::text COLLATE "C"
   AND present."lastName"::text COLLATE "C" IS NOT DISTINCT FROM winner.c2::text COLLATE "C"
   AND present."username"::text COLLATE "C" IS NOT DISTINCT FROM winner.c3::text COLLATE "C"
   AND present."imageUrl"::text COLLATE "C" IS NOT DISTINCT FROM winner.c4::text COLLATE "C"
   AND present."createdAt" IS NOT DISTINCT FROM winner.c5::timestamp(3) without time zone
   AND present."updatedAt" IS NOT DISTINCT FROM winner.c6::timestamp(3) without time zone);

-- rows after another
SELECT present."clerkId"::text, coalesce(known.updated_at, '0001-01-01'), coalesce(known.deleted, false)
  FROM "public"."User" AS present
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present."clerkId"::text COLLATE "C"
 WHERE present."clerkId"::text > $1
 ORDER BY present."clerkId"::text
 LIMIT $2;

-- holders of a unique value
SELECT wish.n, min(wish.n) OVER (PARTITION BY wish.wanted), present.tableoid || ' ' || present.ctid::text, present."clerkId"::text, known.svix_id
  FROM unnest($1::text[]) WITH ORDINALITY
    AS wish (wanted, n)
  LEFT JOIN "public"."User" AS present ON present."email" = wish.wanted
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present."clerkId"::text COLLATE "C"
 ORDER BY wish.n;

-- holders of a unique value
SELECT wish.n, min(wish.n) OVER (PARTITION BY wish.wanted), present.tableoid || ' ' || present.ctid::text, present."clerkId"::text, known.svix_id
  FROM unnest($1::text[]) WITH ORDINALITY
    AS wish (wanted, n)
  LEFT JOIN "public"."User" AS present ON present."username" = wish.wanted
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present."clerkId"::text COLLATE "C"
 ORDER BY wish.n;

-- vacate a unique value
UPDATE "public"."User" AS present
   SET "email" = left(left(md5(present."clerkId"::text), 240) || '@moving.invalid', 255)
 WHERE present."email" = ANY($1::text[]);

-- vacate a unique value
UPDATE "public"."User" AS present
   SET "username" = NULL
 WHERE present."username" = ANY($1::text[]);

