-- Writes a row like those of record_events.sql, to find out whether that is possible; to be rolled back.
INSERT INTO clerk_sync.events (svix_id, type, outcome, received_at, processed_at)
VALUES ($1, '', 'ignored', now(), now())
