-- The tables that there are, of the application's and not of PostgreSQL's.
SELECT nspname::text AS schema, relname::text AS name
  FROM pg_class
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'clerk_sync')
 ORDER BY nspname, relname
 LIMIT 10000
