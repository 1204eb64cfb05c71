-- Corrects what was recorded before the database had told what is newer.
UPDATE clerk_sync.events AS event
   SET outcome = correction.outcome
  FROM unnest($1::text[], $2::text[]) AS correction (svix_id, outcome)
 WHERE event.svix_id = correction.svix_id
