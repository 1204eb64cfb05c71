-- Finds out which events stand in the ledger, by trying to write them there; to be rolled back. Returns those
-- that do not. A plain SELECT would not see what another transaction is about to commit: this waits for
-- its end.
INSERT INTO clerk_sync.events (svix_id, type, outcome, received_at, processed_at)
SELECT svix_id, '', 'ignored', now(), now()
  FROM unnest($1::text[]) AS event (svix_id)
 ORDER BY svix_id COLLATE "C"
    ON CONFLICT (svix_id) DO NOTHING
RETURNING svix_id
