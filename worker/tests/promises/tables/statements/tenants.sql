-- own
INSERT INTO clerk_sync.owners AS owner (family, row_key, object_id, updated_at, event_at, svix_id)
SELECT DISTINCT ON (row_key) 'organizationMembership', row_key, object_id, updated_at, event_at, svix_id
  FROM (SELECT ARRAY[winner.key0::text, winner.key1::text] COLLATE "C" AS row_key, winner.*
          FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[])
    AS winner (object_id, key0, key1, updated_at, event_at, svix_id)) AS winner
 WHERE NOT EXISTS (SELECT FROM clerk_sync.owners AS own
                    WHERE own.family = 'organizationMembership' AND own.object_id = winner.object_id AND own.row_key <> winner.row_key)
 ORDER BY row_key, updated_at DESC, event_at DESC, svix_id COLLATE "C" DESC
    ON CONFLICT (family, row_key) DO UPDATE
   SET object_id = excluded.object_id,
       updated_at = excluded.updated_at,
       event_at = excluded.event_at,
       svix_id = excluded.svix_id
 WHERE owner.object_id = excluded.object_id
    OR (excluded.updated_at, excluded.event_at, excluded.svix_id) > (owner.updated_at, owner.event_at, owner.svix_id)
RETURNING object_id, row_key;

-- disown
DELETE FROM clerk_sync.owners AS owner
 WHERE owner.family = 'organizationMembership' AND owner.object_id = ANY($1)
   AND NOT EXISTS (SELECT FROM "public"."tenant_users" AS present WHERE present."tenant_id" = owner.row_key[1] AND present."user_id" = owner.row_key[2])
RETURNING owner.object_id, owner.row_key;

-- before rows are written
SELECT coalesce(ROW(present."tenant_id", present."user_id")::text, ''), present."tenant_id"::text
  FROM "public"."tenant_users" AS present
 WHERE (present."tenant_id" = ANY($2::text[]) AND EXISTS (SELECT FROM unnest($1::text[], $2::text[], $3::text[])
    AS object (object_id, key0, key1) WHERE present."tenant_id" = object.key0 AND present."user_id" = object.key1));

-- update
UPDATE "public"."tenant_users" AS present
   SET "role" = winner.c2,
       "desk" = CASE WHEN winner.k3 THEN present."desk" ELSE winner.c3 END
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[])
    AS winner (object_id, key0, key1, c0, c1, c2, c3, k3)
 WHERE present."tenant_id" = winner.key0 AND present."user_id" = winner.key1
RETURNING winner.object_id, present."tenant_id"::text;

-- insert
INSERT INTO "public"."tenant_users" AS present ("tenant_id", "user_id", "role", "desk")
SELECT winner.c0,
       winner.c1,
       winner.c2,
       winner.c3
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    AS winner (object_id, key0, key1, c0, c1, c2, c3)
 WHERE NOT EXISTS (SELECT FROM "public"."tenant_users" AS present WHERE present."tenant_id" = winner.key0 AND present."user_id" = winner.key1)
 ORDER BY winner.object_id COLLATE "C"
RETURNING (SELECT owner.object_id FROM clerk_sync.owners AS owner WHERE owner.family = 'organizationMembership' AND owner.row_key = ARRAY[present."tenant_id"::text, present."user_id"::text] COLLATE "C"), present."tenant_id"::text;

-- before rows are deleted
SELECT coalesce(ROW(present."tenant_id", present."user_id")::text, ''), present."tenant_id"::text
  FROM "public"."tenant_users" AS present
 WHERE (present."tenant_id" = ANY($2::text[]) AND EXISTS (SELECT FROM unnest($1::text[], $2::text[], $3::text[])
    AS object (object_id, key0, key1) WHERE present."tenant_id" = object.key0 AND present."user_id" = object.key1));

-- delete
DELETE FROM "public"."tenant_users" AS present
 USING unnest($1::text[], $2::text[], $3::text[])
    AS gone (object_id, key0, key1)
 WHERE present."tenant_id" = gone.key0 AND present."user_id" = gone.key1
RETURNING gone.object_id, present."tenant_id"::text;

-- rows of objects
SELECT winner.object_id, present.tableoid || ' ' || present.ctid::text, false, true
  FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
    AS winner (object_id, key0, key1, updated_at)
  JOIN "public"."tenant_users" AS present ON present."tenant_id" = winner.key0 AND present."user_id" = winner.key1;

-- compare
SELECT winner.object_id,
       present."tenant_id" IS NOT NULL,
       array_remove(ARRAY[
       CASE WHEN present."tenant_id"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C" THEN NULL ELSE 'tenant_id' END,
       CASE WHEN present."user_id"::text COLLATE "C" IS NOT DISTINCT FROM winner.c1::text COLLATE "C" THEN NULL ELSE 'user_id' END,
       CASE WHEN present."role"::text COLLATE "C" IS NOT DISTINCT FROM winner.c2::text COLLATE "C" THEN NULL ELSE 'role' END,
       CASE WHEN (winner.k3 OR present."desk"::text COLLATE "C" IS NOT DISTINCT FROM winner.c3::text COLLATE "C") THEN NULL ELSE 'desk' END]::text[], NULL),
       coalesce(md5(ROW(present."tenant_id", present."user_id", present."role", present."desk")::text) = known.altered, false),
       false,
       least(greatest(known.updated_at, '0001-01-01'), '9999-12-31'),
       greatest(known.event_at, '0001-01-01'),
       known.deleted,
       known.svix_id = ''
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[])
    AS winner (object_id, key0, key1, c0, c1, c2, c3, k3)
  LEFT JOIN "public"."tenant_users" AS present ON present."tenant_id" = winner.key0 AND present."user_id" = winner.key1 AND (SELECT owner.object_id FROM clerk_sync.owners AS owner WHERE owner.family = 'organizationMembership' AND owner.row_key = ARRAY[present."tenant_id"::text, present."user_id"::text] COLLATE "C") = winner.object_id
  LEFT JOIN clerk_sync.versions AS known ON known.family = 'organizationMembership' AND known.object_id = winner.object_id;

-- remember what triggers have altered
UPDATE clerk_sync.versions AS known
   SET altered = md5(ROW(present."tenant_id", present."user_id", present."role", present."desk")::text)
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[])
    AS winner (object_id, key0, key1, c0, c1, c2, c3, k3)
  JOIN "public"."tenant_users" AS present ON present."tenant_id" = winner.key0 AND present."user_id" = winner.key1
 WHERE known.family = 'organizationMembership' AND known.object_id = winner.object_id
   AND NOT (true
   AND present."tenant_id"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C"
   AND present."user_id"::text COLLATE "C" IS NOT DISTINCT FROM winner.c1::text COLLATE "C"
   AND present."role"::text COLLATE "C" IS NOT DISTINCT FROM winner.c2::text COLLATE "C"
   AND (winner.k3 OR present."desk"::text COLLATE "C" IS NOT DISTINCT FROM winner.c3::text COLLATE "C"));

-- rows after another
SELECT owner.object_id, coalesce(known.updated_at, '0001-01-01'), coalesce(known.deleted, false)
  FROM clerk_sync.owners AS owner
  JOIN "public"."tenant_users" AS present ON present."tenant_id" = owner.row_key[1] AND present."user_id" = owner.row_key[2]
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'organizationMembership' AND known.object_id = owner.object_id
 WHERE owner.family = 'organizationMembership' AND owner.object_id > $1
 ORDER BY owner.object_id
 LIMIT $2;

-- lock rows of organizationMembership that refer to these
SELECT gone.object_id, (SELECT owner.object_id FROM clerk_sync.owners AS owner WHERE owner.family = 'organizationMembership' AND owner.row_key = ARRAY[present."tenant_id"::text, present."user_id"::text] COLLATE "C"), present.tableoid::text, present.ctid::text, present."tenant_id"::text
  FROM "public"."tenant_users" AS present, unnest($1::text[])
    AS gone (object_id)
 WHERE present."tenant_id" = gone.object_id
 ORDER BY present."tenant_id", present."user_id"
   FOR UPDATE OF present;

-- release them
DELETE FROM "public"."tenant_users" AS present
 USING unnest($1::oid[], $2::tid[])
    AS changed (part, place)
 WHERE present.ctid = changed.place AND present.tableoid = changed.part;

-- look up rows of organization
SELECT wanted.object_id, present."id" IS NOT NULL, present."id"::text,
       coalesce(known.deleted OR known.went_along AND present."id" IS NULL, false),
       coalesce(known.touched_by, known.svix_id)
  FROM unnest($1::text[])
    AS wanted (object_id)
  LEFT JOIN "public"."tenants" AS present ON present."id" = wanted.object_id
  LEFT JOIN clerk_sync.versions AS known ON known.family = 'organization' AND known.object_id = wanted.object_id;

