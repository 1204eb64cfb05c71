-- Runs at the start of every transaction that applies events: one statement, because each is parsed anew. true makes
-- them SET LOCAL, so that a connection that is shared through a pooler carries nothing over.
SELECT set_config(name, value, true)
  FROM (VALUES
        ('lock_timeout', '300ms'),
        ('statement_timeout', '10s'),
        -- A worker that hangs inside a transaction must not keep its locks from the others.
        ('idle_in_transaction_session_timeout', '10s'),
        -- Nor one that is gone while a statement is still running. PostgreSQL 14 and later.
        ('client_connection_check_interval', '1s'),
        -- How long a transaction may take we decide. PostgreSQL 17 and later.
        ('transaction_timeout', '0'),
        -- A plan that was made while a table was small is kept, and would read all of it once it is large: ours always
        -- go by an index. jit off, because whatever else has to read a whole table then seems to be worth compiling.
        ('enable_seqscan', 'off'),
        ('jit', 'off'),
        -- A commit that a crash of PostgreSQL could undo is none: the entry is removed from Redis after it.
        ('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'local' END)
       ) AS ours (name, value)
 WHERE value IS NOT NULL AND current_setting(name, true) IS NOT NULL;
