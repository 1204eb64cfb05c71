-- What is known of objects ($2, of the family $1).
SELECT wanted.n, known.svix_id, known.deleted
  FROM unnest($2::text[]) WITH ORDINALITY
    AS wanted (object_id, n)
  JOIN clerk_sync.versions AS known ON known.family = $1::text AND known.object_id = wanted.object_id
