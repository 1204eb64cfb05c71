-- Notes of objects ($2, of the family $1) that an event of another one ($3) changes or removes their rows, and whether they
-- go along with that object's ($4): who waits for them sees it, and who refers to a row that has gone so does not wait for
-- it. Locks them before the rows, as claim_versions.sql does.
INSERT INTO clerk_sync.versions AS known
       (family, object_id, updated_at, event_at, svix_id, deleted, applied_at, touched_by, went_along)
SELECT $1::text, object_id, '-infinity', '-infinity', '', false,
       CASE WHEN $1::text NOT IN ('user', 'organization', 'organizationMembership') THEN now() END,
       $3::text, $4::boolean
  FROM unnest($2::text[])
    AS touched (object_id)
 ORDER BY object_id COLLATE "C"
    ON CONFLICT (family, object_id) DO UPDATE
   SET touched_by = excluded.touched_by,
       went_along = known.went_along OR excluded.went_along
