-- 256 events in one transaction: the worker's writes (worker/src/apply/record_events.sql, claim_versions.sql, and one
-- upsert where the worker tells updates from inserts), with values that PostgreSQL makes itself and nobody waits for.
-- As in real ids, the first six digits tell the time.
-- 128 create a user, 128 change those of 20 batches ago. pgbench keeps :batch.
\set batch :batch + 1
BEGIN;
INSERT INTO clerk_sync.events (svix_id, type, object_id, outcome, received_at, processed_at)
SELECT svix_id, type, user_id, 'applied', now(), now()
  FROM (SELECT 'msg_' || lpad(to_hex(:batch::int), 6, '0') || left(md5('event ' || :batch * 256 + n), 21) AS svix_id,
               'user.created' AS type,
               'user_' || lpad(to_hex(:batch::int + 20 - n / 128 * 20), 6, '0')
                 || left(md5('user ' || (:batch - n / 128 * 20) * 128 + n % 128), 21) AS user_id
          FROM generate_series(0, 255) AS n) AS event
 ORDER BY svix_id COLLATE "C"
    ON CONFLICT (svix_id) DO NOTHING;
INSERT INTO clerk_sync.versions AS known (family, object_id, updated_at, event_at, svix_id, deleted)
SELECT 'user', user_id, updated_at, updated_at, svix_id, false
  FROM (SELECT 'msg_' || lpad(to_hex(:batch::int), 6, '0') || left(md5('event ' || :batch * 256 + n), 21) AS svix_id,
               'user_' || lpad(to_hex(:batch::int + 20 - n / 128 * 20), 6, '0')
                 || left(md5('user ' || (:batch - n / 128 * 20) * 128 + n % 128), 21) AS user_id,
               to_timestamp(1716883200 + :batch) AS updated_at
          FROM generate_series(0, 255) AS n) AS event
 ORDER BY user_id COLLATE "C"
    ON CONFLICT (family, object_id) DO UPDATE
   SET updated_at = greatest(known.updated_at, excluded.updated_at),
       event_at   = excluded.event_at,
       svix_id    = excluded.svix_id,
       deleted    = excluded.deleted
 WHERE NOT known.deleted
   AND (excluded.deleted
        OR (excluded.updated_at, excluded.event_at, excluded.svix_id)
         > (known.updated_at, known.event_at, known.svix_id));
INSERT INTO users AS present (id, name, email, "imageUrl", "createdAt", "updatedAt")
SELECT id, 'Ada Lovelace', substr(id, 12, 12) || '@example.com',
       'https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsImlpZCI6Imluc18yZzd0ZXN0IiwicmlkIjoi'
         || id || 'IsImluaXRpYWxzIjoiQUwifQ',
       updated_at, updated_at
  FROM (SELECT 'user_' || lpad(to_hex(:batch::int + 20 - n / 128 * 20), 6, '0')
                 || left(md5('user ' || (:batch - n / 128 * 20) * 128 + n % 128), 21) AS id,
               to_timestamp(1716883200 + :batch) AS updated_at
          FROM generate_series(0, 255) AS n) AS winner
 ORDER BY id COLLATE "C"
    ON CONFLICT (id) DO UPDATE
   SET name        = excluded.name,
       email       = excluded.email,
       "imageUrl"  = excluded."imageUrl",
       "createdAt" = excluded."createdAt",
       "updatedAt" = excluded."updatedAt"
 WHERE present."updatedAt" <= excluded."updatedAt";
COMMIT;
