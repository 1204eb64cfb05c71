-- update
UPDATE "public"."members" AS present
   SET "email" = winner.c0,
       "name" = CASE WHEN winner.k1 THEN present."name" ELSE winner.c1 END
  FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[])
    AS winner (object_id, c0, c1, k1)
 WHERE present."clerk_user_id" = winner.object_id
RETURNING winner.object_id;

-- link
UPDATE "public"."members" AS present
   SET "clerk_user_id" = winner.object_id,
       "email" = winner.c0,
       "name" = CASE WHEN winner.k1 THEN present."name" ELSE winner.c1 END,
       "joined_at" = coalesce(present."joined_at", winner.c2)
  FROM (SELECT DISTINCT ON (winner.c0::public.citext) winner.*
          FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::boolean[]) WITH ORDINALITY
    AS winner (object_id, c0, c1, c2, k1, n)
         WHERE NOT EXISTS (SELECT FROM "public"."members" AS present WHERE present."clerk_user_id" = winner.object_id)
         ORDER BY winner.c0::public.citext, winner.n) AS winner
 WHERE present."email" = winner.c0::public.citext
   AND (present."clerk_user_id" IS NULL
        OR EXISTS (SELECT FROM clerk_sync.versions AS gone
                    WHERE gone.family = 'user' AND gone.object_id = present."clerk_user_id"::text COLLATE "C" AND gone.deleted))
RETURNING winner.object_id;

-- insert
INSERT INTO "public"."members" AS present ("clerk_user_id", "email", "name", "joined_at")
SELECT winner.object_id,
       winner.c0,
       winner.c1,
       winner.c2
  FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
    AS winner (object_id, c0, c1, c2)
 WHERE NOT EXISTS (SELECT FROM "public"."members" AS present WHERE present."clerk_user_id" = winner.object_id)
 ORDER BY winner.object_id COLLATE "C"
RETURNING present."clerk_user_id"::text;

-- set what a deletion does
UPDATE "public"."members" AS present
   SET "clerk_user_id" = gone.c0
  FROM unnest($1::text[], $2::text[])
    AS gone (object_id, c0)
 WHERE present."clerk_user_id" = gone.object_id
RETURNING gone.object_id;

-- rows of objects
WITH winner AS (SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::text[]) WITH ORDINALITY
    AS winner (object_id, updated_at, link, n)),
own AS (
    SELECT winner.object_id, present.tableoid || ' ' || present.ctid::text AS place, false AS is_newer
      FROM winner
      JOIN "public"."members" AS present ON present."clerk_user_id" = winner.object_id
)
SELECT object_id, place, is_newer, true FROM own
 UNION ALL
SELECT object_id, place, false, false
  FROM (SELECT DISTINCT ON (winner.link::public.citext) winner.object_id, present.tableoid || ' ' || present.ctid::text AS place
          FROM winner
          JOIN "public"."members" AS present ON present."email" = winner.link::public.citext
         WHERE winner.object_id NOT IN (SELECT object_id FROM own)
           AND (present."clerk_user_id" IS NULL
        OR EXISTS (SELECT FROM clerk_sync.versions AS gone
                    WHERE gone.family = 'user' AND gone.object_id = present."clerk_user_id"::text COLLATE "C" AND gone.deleted))
         ORDER BY winner.link::public.citext, winner.n) AS linked;

-- compare
SELECT winner.object_id,
       present."clerk_user_id" IS NOT NULL,
       array_remove(ARRAY[
       CASE WHEN present."email"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C" THEN NULL ELSE 'email' END,
       CASE WHEN (winner.k1 OR present."name"::text COLLATE "C" IS NOT DISTINCT FROM winner.c1::text COLLATE "C") THEN NULL ELSE 'name' END]::text[], NULL),
       coalesce(md5(ROW(present."email", present."name")::text) = known.altered, false),
       winner.can_link AND EXISTS (
           SELECT FROM "public"."members" AS present WHERE present."email" = winner.c0::public.citext AND (present."clerk_user_id" IS NULL
        OR EXISTS (SELECT FROM clerk_sync.versions AS gone
                    WHERE gone.family = 'user' AND gone.object_id = present."clerk_user_id"::text COLLATE "C" AND gone.deleted))),
       least(greatest(known.updated_at, '0001-01-01'), '9999-12-31'),
       greatest(known.event_at, '0001-01-01'),
       known.deleted,
       known.svix_id = ''
  FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[], $5::boolean[])
    AS winner (object_id, c0, c1, k1, can_link)
  LEFT JOIN "public"."members" AS present ON present."clerk_user_id" = winner.object_id
  LEFT JOIN clerk_sync.versions AS known ON known.family = 'user' AND known.object_id = winner.object_id;

-- remember what triggers have altered
UPDATE clerk_sync.versions AS known
   SET altered = md5(ROW(present."email", present."name")::text)
  FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[])
    AS winner (object_id, c0, c1, k1)
  JOIN "public"."members" AS present ON present."clerk_user_id" = winner.object_id
 WHERE known.family = 'user' AND known.object_id = winner.object_id
   AND NOT (true
   AND present."email"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C"
   AND (winner.k1 OR present."name"::text COLLATE "C" IS NOT DISTINCT FROM winner.c1::text COLLATE "C"));

-- rows after another
SELECT present."clerk_user_id"::text, coalesce(known.updated_at, '0001-01-01'), coalesce(known.deleted, false)
  FROM "public"."members" AS present
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present."clerk_user_id"::text COLLATE "C"
 WHERE present."clerk_user_id"::text > $1
 ORDER BY present."clerk_user_id"::text
 LIMIT $2;

-- holders of a unique value
SELECT wish.n, min(wish.n) OVER (PARTITION BY wish.wanted::public.citext), present.tableoid || ' ' || present.ctid::text, present."clerk_user_id"::text, known.svix_id
  FROM unnest($1::text[]) WITH ORDINALITY
    AS wish (wanted, n)
  LEFT JOIN "public"."members" AS present ON present."email" = wish.wanted::public.citext
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present."clerk_user_id"::text COLLATE "C"
 ORDER BY wish.n;

-- vacate a unique value
UPDATE "public"."members" AS present
   SET "email" = left(left(md5(concat(present."clerk_user_id"::text, present.ctid)), 240) || '@moving.invalid', 255)
 WHERE present."email" = ANY($1::text[]::public.citext[]);

