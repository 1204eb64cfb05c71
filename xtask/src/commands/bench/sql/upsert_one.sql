-- One event, as an application would write it: a statement, and so a transaction, of its own. Every other
-- one changes a user whom the same client has created 500 of its events ago: of 8 clients, some 4,000 of all.
-- As in real ids, the first six digits tell the time. pgbench keeps :event, one for each client.
\set event :event + 1
\set number greatest(0, :event / 2 - :event % 2 * 250)
INSERT INTO users AS present (id, name, email, "imageUrl", "createdAt", "updatedAt")
VALUES (
  'user_' || lpad(to_hex(:number / 16), 6, '0') || left(md5(:client_id || '-' || :number), 21),
  'Ada Lovelace',
  left(md5(:client_id || ' ' || :number), 12) || '@example.com',
  'https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCIsImlpZCI6Imluc18yZzd0ZXN0IiwicmlkIjoi'
    || md5(:client_id || '-' || :number) || 'IsImluaXRpYWxzIjoiQUwifQ',
  to_timestamp(1716883200 + :number),
  to_timestamp(1716883200 + :event)
)
    ON CONFLICT (id) DO UPDATE
   SET name        = excluded.name,
       email       = excluded.email,
       "imageUrl"  = excluded."imageUrl",
       "createdAt" = excluded."createdAt",
       "updatedAt" = excluded."updatedAt"
 WHERE present."updatedAt" <= excluded."updatedAt";
