-- Makes known what only the application knows: objects ($2, of the families $1) whose rows others refer to. Only what is
-- known can be locked. Any event of theirs is newer.
INSERT INTO clerk_sync.versions (family, object_id, updated_at, event_at, svix_id, deleted, applied_at)
SELECT family, object_id, '-infinity', '-infinity', '', false,
       CASE WHEN family NOT IN ('user', 'organization', 'organizationMembership') THEN now() END
  FROM unnest($1::text[], $2::text[])
    AS parent (family, object_id)
 ORDER BY family COLLATE "C", object_id COLLATE "C"
    ON CONFLICT DO NOTHING
