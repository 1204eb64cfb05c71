-- Makes known objects ($2, of the families $1) whose rows others refer to and of which no event was seen. Only what is
-- known can be locked. Any event of theirs is newer. In the order in which they are given, which is the same for all.
INSERT INTO clerk_sync.versions (family, object_id, updated_at, event_at, svix_id, deleted, applied_at)
SELECT family, object_id, '-infinity', '-infinity', '', false,
       CASE WHEN family NOT IN ('user', 'organization', 'organizationMembership') THEN now() END
  FROM unnest($1::text[], $2::text[])
    WITH ORDINALITY AS parent (family, object_id, number)
 ORDER BY number
    ON CONFLICT DO NOTHING
