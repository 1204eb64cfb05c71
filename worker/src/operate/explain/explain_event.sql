SELECT e.type, e.object_id, e.outcome, v.deleted, v.svix_id,
       (extract(epoch FROM now() - e.processed_at) * 1000)::bigint,
       to_char(e.processed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM clerk_sync.events e
LEFT JOIN clerk_sync.versions v ON v.family = split_part(e.type, '.', 1) AND v.object_id = e.object_id
WHERE e.svix_id = $1
