-- Deletes up to $2 ledger rows that are older than $1 days, of 24 hours each: calendar days depend on the
-- session's time zone.
DELETE FROM clerk_sync.events
 WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM clerk_sync.events
        WHERE processed_at < now() - make_interval(hours => 24 * $1::int)
        LIMIT $2::bigint))
