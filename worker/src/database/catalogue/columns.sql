-- The columns of the table $1, which to_regclass finds as a statement would: its schema and name, and of each column what
-- a statement has to know. A domain is shown with what it stands for in the end.
-- https://www.postgresql.org/docs/15/catalogs.html
WITH RECURSIVE stored AS (
    SELECT attrelid, attnum, attname, atttypid, atttypmod, attcollation, attnotnull,
           atthasdef OR attidentity <> '' AS has_default,
           atttypid AS type, atttypmod AS modifier
      FROM pg_attribute
     WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped
     UNION ALL
    SELECT attrelid, attnum, attname, atttypid, atttypmod, attcollation, attnotnull OR typnotnull,
           has_default OR typdefault IS NOT NULL,
           typbasetype, CASE WHEN typtypmod <> -1 THEN typtypmod ELSE modifier END
      FROM stored
      JOIN pg_type ON pg_type.oid = type
     WHERE typtype = 'd'
),
-- Names of types that do not depend on the search path. -1: without what stands in parentheses; NULL would make
-- character of bpchar, which is character(1).
named AS (
    SELECT pg_type.oid, typname,
           CASE typnamespace WHEN 'pg_catalog'::regnamespace THEN format_type(pg_type.oid, -1)
                ELSE format('%I.%I', nspname, typname) END AS sql_type
      FROM pg_type
      JOIN pg_namespace ON pg_namespace.oid = typnamespace
)
SELECT nspname::text,
       relname::text,
       attname::text,
       CASE WHEN base.typtype = 'e' THEN 'enum'
            WHEN base.typelem <> 0 AND base.typlen = -1 AND element.typtype = 'e' THEN 'enum array'
            WHEN base.typelem <> 0 AND base.typlen = -1
             AND element.typname IN ('text', 'varchar', 'bpchar', 'citext') THEN element.typname || ' array'
            ELSE base.typname::text END,
       modifier,
       own.sql_type,
       CASE WHEN own.sql_type LIKE '%.%' THEN own.sql_type ELSE format_type(atttypid, atttypmod) END,
       base_name.sql_type,
       NOT attnotnull,
       has_default,
       EXISTS (SELECT FROM pg_index AS i
                WHERE indrelid = attrelid AND indkey[0] = attnum AND indnkeyatts = 1
                  AND indisunique AND indimmediate AND indisvalid AND indpred IS NULL AND indexprs IS NULL
                  -- PostgreSQL 15 and later.
                  AND to_jsonb(i) ->> 'indnullsnotdistinct' IS DISTINCT FROM 'true'),
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid IN (base.oid, base.typelem)),
       (SELECT format('%I.%I', nspname, collname)
          FROM pg_collation
          JOIN pg_namespace ON pg_namespace.oid = collnamespace
         WHERE pg_collation.oid = attcollation AND attcollation <> base.typcollation)
  FROM stored
  JOIN pg_class ON pg_class.oid = attrelid
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
  JOIN pg_type AS base ON base.oid = type
  JOIN named AS own ON own.oid = atttypid
  JOIN named AS base_name ON base_name.oid = base.oid
  LEFT JOIN pg_type AS element ON element.oid = base.typelem
 WHERE base.typtype <> 'd'
