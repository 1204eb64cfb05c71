-- Keeps what the cache tags of rows were and are, because a worker that takes the event over could not tell.
INSERT INTO clerk_sync.cache_tags (svix_id, tags, kept_at)
VALUES ($1::text, $2::text[], now())
