-- What is known of objects ($2, of the family $1) that have no row: by which event, and whether one of our deletions has
-- removed the row.
SELECT wanted.n, coalesce(known.touched_by, known.svix_id), known.deleted OR known.went_along
  FROM unnest($2::text[]) WITH ORDINALITY
    AS wanted (object_id, n)
  JOIN clerk_sync.versions AS known ON known.family = $1::text AND known.object_id = wanted.object_id
