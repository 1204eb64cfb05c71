-- Keeps what the cache tags of the rows of an event were and are, because a worker that takes the event over could not tell.
INSERT INTO clerk_sync.cache_tags (svix_id, tag, kept_at)
SELECT $1::text, tag, now() FROM unnest($2::text[]) AS changed (tag)
    ON CONFLICT DO NOTHING
