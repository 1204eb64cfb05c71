-- Whether the ledger holds anything: a row, or none.
SELECT FROM clerk_sync.events LIMIT 1
