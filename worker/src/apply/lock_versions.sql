-- Locks what is known of objects ($2, of the family $1), and tells it before claim_versions.sql changes it.
SELECT object_id, coalesce(touched_by, svix_id)
  FROM clerk_sync.versions
 WHERE family = $1::text AND object_id = ANY($2::text[])
 ORDER BY object_id COLLATE "C"
   FOR UPDATE
