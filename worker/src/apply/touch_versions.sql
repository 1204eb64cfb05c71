-- Notes that the event $3 of another object changes or removes the rows of objects ($2, of the family $1), and whether they
-- go along with that object ($4). Waiting events see the change, and nothing waits for a row that has gone. Versions are
-- locked before rows, as by claim_versions.sql.
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
