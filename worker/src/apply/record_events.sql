-- Claims the svix-ids that nobody has recorded yet, with the outcome as far as it is known.
-- Returns those. Another transaction that claims the same one waits here until this one ends.
-- Ordered, so that two transactions never wait for each other.
INSERT INTO clerk_sync.events (svix_id, type, object_id, outcome, received_at, processed_at)
SELECT svix_id, type, object_id, outcome, received_at, now()
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
    AS event (svix_id, type, object_id, outcome, received_at)
 ORDER BY svix_id COLLATE "C"
    ON CONFLICT (svix_id) DO NOTHING
RETURNING svix_id
