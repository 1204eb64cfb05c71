-- Who made the rows last that have these keys ($2, each an array of texts in JSON), among the objects of the family $1: the
-- svix-id of the event by which it did, and whether one of our deletions has removed the row by now.
SELECT wanted.n, coalesce(maker.touched_by, owner.svix_id), maker.deleted OR maker.went_along
  FROM unnest($2::text[]) WITH ORDINALITY
    AS wanted (row_key, n)
  JOIN clerk_sync.owners AS owner
    ON owner.family = $1::text
   AND owner.row_key = ARRAY(SELECT jsonb_array_elements_text(wanted.row_key::jsonb)) COLLATE "C"
  JOIN clerk_sync.versions AS maker ON maker.family = owner.family AND maker.object_id = owner.object_id
