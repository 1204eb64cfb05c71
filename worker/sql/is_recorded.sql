-- Whether an event stands in the ledger.
SELECT EXISTS (SELECT FROM clerk_sync.events WHERE svix_id = $1)
