-- update
UPDATE "public"."users" AS present
   SET "email" = winner.c0
  FROM unnest($1::text[], $2::text[])
    AS winner (object_id, c0)
 WHERE present."clerk_id" = winner.object_id
RETURNING winner.object_id;

-- insert
INSERT INTO "public"."users" AS present ("clerk_id", "email", "created_at")
SELECT winner.object_id,
       winner.c0,
       winner.c1
  FROM unnest($1::text[], $2::text[], $3::timestamptz[])
    AS winner (object_id, c0, c1)
 WHERE NOT EXISTS (SELECT FROM "public"."users" AS present WHERE present."clerk_id" = winner.object_id)
 ORDER BY winner.object_id COLLATE "C"
RETURNING present."clerk_id"::text;

-- delete
DELETE FROM "public"."users" AS present
 USING unnest($1::text[])
    AS gone (object_id)
 WHERE present."clerk_id" = gone.object_id
RETURNING gone.object_id;

-- rows of objects
SELECT winner.object_id, present.tableoid || ' ' || present.ctid::text, false, true
  FROM unnest($1::text[], $2::timestamptz[])
    AS winner (object_id, updated_at)
  JOIN "public"."users" AS present ON present."clerk_id" = winner.object_id;

-- compare
SELECT winner.object_id,
       present."clerk_id" IS NOT NULL,
       array_remove(ARRAY[
       CASE WHEN present."email"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C" THEN NULL ELSE 'email' END]::text[], NULL),
       coalesce(md5(ROW(present."email")::text) = known.altered, false),
       false,
       least(greatest(known.updated_at, '0001-01-01'), '9999-12-31'),
       greatest(known.event_at, '0001-01-01'),
       known.deleted,
       known.svix_id = ''
  FROM unnest($1::text[], $2::text[])
    AS winner (object_id, c0)
  LEFT JOIN "public"."users" AS present ON present."clerk_id" = winner.object_id
  LEFT JOIN clerk_sync.versions AS known ON known.family = 'user' AND known.object_id = winner.object_id;

-- remember what triggers have altered
UPDATE clerk_sync.versions AS known
   SET altered = md5(ROW(present."email")::text)
  FROM unnest($1::text[], $2::text[])
    AS winner (object_id, c0)
  JOIN "public"."users" AS present ON present."clerk_id" = winner.object_id
 WHERE known.family = 'user' AND known.object_id = winner.object_id
   AND NOT (true
   AND present."email"::text COLLATE "C" IS NOT DISTINCT FROM winner.c0::text COLLATE "C");

-- rows after another
SELECT present."clerk_id"::text, coalesce(known.updated_at, '0001-01-01'), coalesce(known.deleted, false)
  FROM "public"."users" AS present
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present."clerk_id"::text COLLATE "C"
 WHERE present."clerk_id"::text > $1
 ORDER BY present."clerk_id"::text
 LIMIT $2;

-- lock rows of organizationMembership that refer to these
SELECT gone.object_id, (SELECT owner.object_id FROM clerk_sync.owners AS owner WHERE owner.family = 'organizationMembership' AND owner.row_key = ARRAY[present."organization_id"::text, present."user_id"::text] COLLATE "C"), present.tableoid::text, present.ctid::text
  FROM "public"."memberships" AS present, "public"."organizations" AS parent, unnest($1::text[])
    AS gone (object_id)
 WHERE parent."clerk_org_id" = gone.object_id AND present."organization_id" = parent."id"::uuid
 ORDER BY present."organization_id", present."user_id"
   FOR UPDATE OF present;

-- release them
DELETE FROM "public"."memberships" AS present
 USING unnest($1::oid[], $2::tid[])
    AS changed (part, place)
 WHERE present.ctid = changed.place AND present.tableoid = changed.part;

-- look up rows of organization
SELECT wanted.object_id, present."clerk_org_id" IS NOT NULL, present."id"::text,
       coalesce(known.deleted OR known.went_along AND present."clerk_org_id" IS NULL, false),
       coalesce(known.touched_by, known.svix_id)
  FROM unnest($1::text[])
    AS wanted (object_id)
  LEFT JOIN "public"."organizations" AS present ON present."clerk_org_id" = wanted.object_id
  LEFT JOIN clerk_sync.versions AS known ON known.family = 'organization' AND known.object_id = wanted.object_id;

-- look up rows of user
SELECT wanted.object_id, present."clerk_id" IS NOT NULL, present."id"::text,
       coalesce(known.deleted OR known.went_along AND present."clerk_id" IS NULL, false),
       coalesce(known.touched_by, known.svix_id)
  FROM unnest($1::text[])
    AS wanted (object_id)
  LEFT JOIN "public"."users" AS present ON present."clerk_id" = wanted.object_id
  LEFT JOIN clerk_sync.versions AS known ON known.family = 'user' AND known.object_id = wanted.object_id;

-- lock rows of organizationMembership that refer to these
SELECT gone.object_id, (SELECT owner.object_id FROM clerk_sync.owners AS owner WHERE owner.family = 'organizationMembership' AND owner.row_key = ARRAY[present."organization_id"::text, present."user_id"::text] COLLATE "C"), present.tableoid::text, present.ctid::text
  FROM "public"."memberships" AS present, "public"."users" AS parent, unnest($1::text[])
    AS gone (object_id)
 WHERE parent."clerk_id" = gone.object_id AND present."user_id" = parent."id"::integer
 ORDER BY present."organization_id", present."user_id"
   FOR UPDATE OF present;

-- release them
DELETE FROM "public"."memberships" AS present
 USING unnest($1::oid[], $2::tid[])
    AS changed (part, place)
 WHERE present.ctid = changed.place AND present.tableoid = changed.part;

