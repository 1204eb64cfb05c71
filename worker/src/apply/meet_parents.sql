-- Inserts a version of objects ($2, of the families $1) that have none, because only an existing version can be locked.
-- Every event of theirs is newer. In the given order, which is the same for all.
INSERT INTO clerk_sync.versions (family, object_id, updated_at, event_at, svix_id, deleted, applied_at)
SELECT family, object_id, '-infinity', '-infinity', '', false,
       CASE WHEN family NOT IN ('user', 'organization', 'organizationMembership') THEN now() END
  FROM unnest($1::text[], $2::text[])
    WITH ORDINALITY AS parent (family, object_id, number)
 ORDER BY number
    ON CONFLICT DO NOTHING
