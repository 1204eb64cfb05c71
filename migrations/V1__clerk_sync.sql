-- The schema clerk_sync itself is created before the first migration: the history of migrations
-- lives in it too.

-- The ledger: what became of every event. A svix-id that stands here is never applied again.
-- Identities compare byte by byte (COLLATE "C"), as the worker compares them in memory.
CREATE TABLE clerk_sync.events (
    svix_id      text COLLATE "C" PRIMARY KEY,
    type         text        NOT NULL,
    user_id      text        COLLATE "C",
    outcome      text        NOT NULL CHECK (outcome IN ('applied', 'stale', 'ignored')),
    received_at  timestamptz NOT NULL,
    processed_at timestamptz NOT NULL
);

-- Rows come in the order of processed_at, so a block range index finds the expired ones and costs
-- next to nothing to keep.
CREATE INDEX events_processed_at ON clerk_sync.events USING brin (processed_at);

-- The newest thing known of each user. A deleted user's row stays for ever: it is the tombstone.
CREATE TABLE clerk_sync.user_versions (
    user_id    text COLLATE "C" PRIMARY KEY,
    updated_at timestamptz NOT NULL,
    event_at   timestamptz NOT NULL,
    svix_id    text COLLATE "C" NOT NULL,
    deleted    boolean     NOT NULL
);
