-- Takes back what record_events.sql has written in the same transaction.
DELETE FROM clerk_sync.events WHERE svix_id = ANY($1::text[])
