-- The unique indexes of the tables $1. An index on an expression has NULL in place of a column.
SELECT indrelid AS table,
       relname::text AS name,
       ARRAY(SELECT attname::text
               FROM unnest(indkey[0:indnkeyatts - 1]) WITH ORDINALITY AS part (number, place)
               LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = number AND attnum > 0
              ORDER BY place) AS columns,
       -- All that it depends on, also within expressions.
       ARRAY(SELECT DISTINCT attname::text
               FROM pg_depend
               JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
              WHERE classid = 'pg_class'::regclass AND objid = indexrelid AND refobjid = indrelid AND refobjsubid > 0)
           AS mentioned,
       indisprimary AS is_primary,
       NOT indimmediate AS is_deferrable,
       indpred IS NOT NULL AS is_partial,
       indisvalid AND indisready AS is_valid,
       -- PostgreSQL 15 and later.
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS has_one_null
  FROM pg_index AS i
  JOIN pg_class ON pg_class.oid = indexrelid
 WHERE indrelid = ANY ($1::oid[]) AND indisunique
 ORDER BY indrelid, relname
