-- Runs at the start of every transaction that applies events, after utc.sql. SET LOCAL, so that a
-- connection that is shared through a pooler carries nothing over.
SET LOCAL lock_timeout = '300ms';
SET LOCAL statement_timeout = '10s';
-- A worker that hangs inside a transaction must not keep its locks from the others.
SET LOCAL idle_in_transaction_session_timeout = '10s';
-- A commit that a crash of PostgreSQL could undo is none: the entry is removed from Redis after it.
SELECT set_config('synchronous_commit', 'local', true)
 WHERE current_setting('synchronous_commit') = 'off';
