-- All relations that have one of the names $2 and are in its schema $1, or without one in a schema of the search path;
-- and where $3 is true, all that are in those, but for partitions. In the order of the search path. PostgreSQL leaves
-- schemas out of it that our role may not look into; so the setting itself is read.
-- https://www.postgresql.org/docs/15/catalogs.html
WITH entry AS (
    SELECT coalesce(replace(part[1], '""', '"'), lower(part[2])) AS name, place
      FROM regexp_matches(current_setting('search_path'), '"((?:[^"]|"")*)"|([^",\s]+)', 'g')
           WITH ORDINALITY AS parts (part, place)
),
path AS (
    SELECT CASE name WHEN '$user' THEN current_user::text ELSE name END AS schema, min(place) AS place
      FROM entry
     GROUP BY 1
)
SELECT pg_class.oid,
       nspname::text AS schema,
       relname::text AS name,
       place IS NOT NULL AS is_in_path,
       has_schema_privilege(relnamespace, 'USAGE') AS has_usage,
       CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table'
                    WHEN 'm' THEN 'materialized view' ELSE 'view' END AS form,
       ARRAY(SELECT rulename::text FROM pg_rewrite WHERE ev_class = pg_class.oid ORDER BY 1) AS rules,
       EXISTS (SELECT FROM pg_trigger
                WHERE tgrelid = pg_class.oid AND NOT tgisinternal AND tgenabled IN ('O', 'A')
                  -- For each row, before, insert.
                  AND tgtype & 1 <> 0 AND tgtype & 2 <> 0 AND tgtype & 4 <> 0) AS fires_before_insert,
       has_table_privilege(pg_class.oid, 'DELETE') AS may_delete,
       -- ctid and tableoid: where a row lies. A view has none.
       coalesce(has_column_privilege(pg_class.oid, -1::smallint, 'SELECT')
                AND has_column_privilege(pg_class.oid, -6::smallint, 'SELECT'), false) AS may_select_places,
       row_security_active(pg_class.oid) AS has_row_security
  FROM pg_class
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
  LEFT JOIN path ON path.schema = nspname
 WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
   AND ($3 AND place IS NOT NULL AND NOT relispartition
        OR EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
                    WHERE wanted.name = relname AND coalesce(wanted.schema = nspname, place IS NOT NULL)))
 ORDER BY place, nspname, relname
