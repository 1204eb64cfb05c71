-- The newest rows of the last $1 seconds. The index on processed_at finds a time span, but no order.
SELECT svix_id, type, object_id, outcome,
       (extract(epoch FROM clock_timestamp() - processed_at) * 1000)::bigint,
       to_char(processed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM clerk_sync.events
WHERE processed_at > now() - make_interval(secs => $1)
ORDER BY processed_at DESC, svix_id
LIMIT $2
