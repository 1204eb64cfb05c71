-- Finds out whether an event stands in the ledger, by trying to write it there; to be rolled back. A plain
-- SELECT would not see what another transaction is about to commit: this waits for its end.
INSERT INTO clerk_sync.events (svix_id, type, outcome, received_at, processed_at)
VALUES ($1, '', 'ignored', now(), now())
    ON CONFLICT (svix_id) DO NOTHING
