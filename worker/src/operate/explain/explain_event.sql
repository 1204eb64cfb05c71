SELECT e.type, e.user_id, e.outcome, v.deleted, v.svix_id,
       (extract(epoch FROM now() - e.processed_at) * 1000)::bigint,
       to_char(e.processed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM clerk_sync.events e
LEFT JOIN clerk_sync.user_versions v ON v.user_id = e.user_id
WHERE e.svix_id = $1
