-- Locks every object of a piece, decides whose newest event is newer than all that is known, and
-- leaves the tombstones: in one statement, because no other order is safe. A transaction that looked
-- for a tombstone first and wrote later would, under READ COMMITTED, miss the one that another
-- transaction commits in between. Here the loser waits for the row lock and then sees the winner's
-- row, whichever of the two began first.
--
-- A row is locked also where WHERE says no. Of what only meet_parents.sql has made known no event was seen yet.
INSERT INTO clerk_sync.versions AS known (family, object_id, updated_at, event_at, svix_id, deleted, applied_at)
SELECT $6::text, object_id, updated_at, event_at, svix_id, deleted,
       -- Of these families versions are kept for ever, of others as long as the ledger.
       CASE WHEN $6::text NOT IN ('user', 'organization', 'organizationMembership') THEN now() END
  FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::boolean[])
    AS event (object_id, updated_at, event_at, svix_id, deleted)
 ORDER BY object_id COLLATE "C"
    ON CONFLICT (family, object_id) DO UPDATE
   SET updated_at = CASE WHEN excluded.deleted THEN greatest(known.updated_at, excluded.updated_at)
                         ELSE excluded.updated_at END,
       event_at   = excluded.event_at,
       applied_at = excluded.applied_at,
       svix_id    = excluded.svix_id,
       deleted    = excluded.deleted,
       altered    = NULL,
       -- What has gone along is as it was, unless the row comes back: see return_versions.sql.
       touched_by = CASE WHEN known.went_along THEN known.touched_by END,
       first_seen = known.updated_at = '-infinity'
 WHERE NOT known.deleted
   AND (excluded.deleted
        -- What is known is only what the application's own row said, and somebody has asked Clerk since.
        OR (known.svix_id = '' AND starts_with(excluded.svix_id, 'reconcile_'))
        OR (excluded.updated_at, excluded.event_at, excluded.svix_id)
         > (known.updated_at, known.event_at, known.svix_id))
RETURNING object_id, first_seen, went_along
