-- The schema clerk_sync itself is created before the first migration: the history of migrations
-- lives in it too.

-- The ledger: what became of every event. A svix-id that stands here is never applied again.
-- Identities compare byte by byte (COLLATE "C"), as the worker compares them in memory.
CREATE TABLE clerk_sync.events (
    svix_id      text COLLATE "C" PRIMARY KEY,
    type         text        NOT NULL,
    object_id    text        COLLATE "C",
    outcome      text        NOT NULL CHECK (outcome IN ('applied', 'stale', 'ignored')),
    received_at  timestamptz NOT NULL,
    processed_at timestamptz NOT NULL
);

-- Rows come in the order of processed_at, so a block range index finds the expired ones and costs
-- next to nothing to keep.
CREATE INDEX events_processed_at ON clerk_sync.events USING brin (processed_at);

-- The newest thing known of each object. The family is the first word of Clerk's event types: user. The rows of users,
-- organizations and memberships stay for ever, those of deleted ones too: they are the tombstones. Rows are updated again
-- and again and no index has what changes, so with room in its page a new version of such a row needs no new entries in
-- the index.
CREATE TABLE clerk_sync.versions (
    family     text COLLATE "C" NOT NULL,
    object_id  text COLLATE "C" NOT NULL,
    updated_at timestamptz      NOT NULL,
    event_at   timestamptz      NOT NULL,
    -- When that event was applied; only where the row stays no longer than those of the ledger.
    applied_at timestamptz,
    svix_id    text COLLATE "C" NOT NULL,
    deleted    boolean          NOT NULL,
    -- Whether that event was the first that came of the object.
    first_seen boolean          NOT NULL DEFAULT true,
    -- The event of another object that has changed or removed the row since.
    touched_by text COLLATE "C",
    -- Whether the row has gone along with that of a deleted object, or was left as its own deletion would leave it.
    went_along boolean          NOT NULL DEFAULT false,
    -- A digest of the row, where a trigger has made something else of it than was written.
    altered    text,
    PRIMARY KEY (family, object_id)
) WITH (fillfactor = 70);

CREATE INDEX versions_touched_by ON clerk_sync.versions (touched_by) WHERE touched_by IS NOT NULL;
CREATE INDEX versions_applied_at ON clerk_sync.versions (applied_at) WHERE applied_at IS NOT NULL;

-- Whose a row is, where its key is not Clerk's id: the object that wrote it last, and the event by which it did. The key
-- is that of the row, as texts. It stays when the object is deleted, as long as the version: nothing older makes the row
-- again.
CREATE TABLE clerk_sync.owners (
    family     text   COLLATE "C" NOT NULL,
    row_key    text[] COLLATE "C" NOT NULL,
    object_id  text   COLLATE "C" NOT NULL,
    updated_at timestamptz        NOT NULL,
    event_at   timestamptz        NOT NULL,
    svix_id    text   COLLATE "C" NOT NULL,
    PRIMARY KEY (family, row_key),
    UNIQUE (family, object_id)
) WITH (fillfactor = 70);

-- Cache tags that are to be deleted and that nothing but a row tells, which may be gone or another one by now.
CREATE TABLE clerk_sync.cache_tags (
    svix_id text COLLATE "C" PRIMARY KEY,
    tags    text[]           NOT NULL,
    kept_at timestamptz      NOT NULL
);
