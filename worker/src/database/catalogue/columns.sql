-- The columns of the tables $1: what a statement has to know of each, and what there is to check. A domain is shown with
-- what it stands for in the end. https://www.postgresql.org/docs/15/catalogs.html
WITH RECURSIVE stored AS (
    SELECT attrelid, attnum, attname, atttypid, atttypmod, attcollation, attnotnull,
           CASE attgenerated WHEN '' THEN pg_get_expr(adbin, adrelid) END AS default_sql,
           attgenerated <> '' OR attidentity = 'a' AS is_generated, attidentity <> '' AS is_identity,
           pg_attrdef.oid AS default_oid,
           atttypid AS type, atttypmod AS modifier
      FROM pg_attribute
      LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
     WHERE attrelid = ANY ($1::oid[]) AND attnum > 0 AND NOT attisdropped
     UNION ALL
    SELECT attrelid, attnum, attname, atttypid, atttypmod, attcollation, attnotnull OR typnotnull,
           coalesce(default_sql, typdefault), is_generated, is_identity, default_oid,
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
                ELSE format('%I.%I', nspname, typname) END AS sql_type,
           CASE WHEN NOT has_schema_privilege(typnamespace, 'USAGE') THEN nspname::text END AS hidden_schema
      FROM pg_type
      JOIN pg_namespace ON pg_namespace.oid = typnamespace
)
SELECT attrelid AS table,
       attname::text AS name,
       CASE WHEN base.typtype = 'e' THEN 'enum'
            WHEN base.typelem <> 0 AND base.typlen = -1 AND element.typtype = 'e' THEN 'enum array'
            WHEN base.typelem <> 0 AND base.typlen = -1
             AND element.typname IN ('text', 'varchar', 'bpchar', 'citext') THEN element.typname || ' array'
            ELSE base.typname::text END AS kind,
       modifier,
       own.sql_type AS sql_type,
       CASE WHEN own.sql_type LIKE '%.%' THEN own.sql_type ELSE format_type(atttypid, atttypmod) END AS exact_sql_type,
       base_name.sql_type AS base_sql_type,
       NOT attnotnull AS takes_null,
       is_identity OR is_generated OR default_sql IS NOT NULL AS has_default,
       CASE WHEN NOT is_generated THEN default_sql END AS default_sql,
       is_generated,
       is_identity,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid IN (base.oid, base.typelem) ORDER BY enumsortorder) AS words,
       (SELECT format('%I.%I', nspname, collname)
          FROM pg_collation
          JOIN pg_namespace ON pg_namespace.oid = collnamespace
         WHERE pg_collation.oid = attcollation AND attcollation <> base.typcollation) AS collation,
       has_column_privilege(attrelid, attnum, 'SELECT') AS may_select,
       has_column_privilege(attrelid, attnum, 'INSERT') AS may_insert,
       has_column_privilege(attrelid, attnum, 'UPDATE') AS may_update,
       coalesce(own.hidden_schema, base_name.hidden_schema) AS hidden_schema,
       -- A serial column's: who inserts takes its next value. That of an identity needs no right.
       (SELECT format('%I.%I', nspname, sequence.relname)
          FROM pg_depend
          JOIN pg_class AS sequence ON sequence.oid = refobjid
          JOIN pg_namespace ON pg_namespace.oid = sequence.relnamespace
         WHERE classid = 'pg_attrdef'::regclass AND objid = default_oid AND refclassid = 'pg_class'::regclass
           AND CASE sequence.relkind WHEN 'S' THEN NOT has_sequence_privilege(sequence.oid, 'USAGE, UPDATE') END
         LIMIT 1) AS refused_sequence
  FROM stored
  JOIN pg_type AS base ON base.oid = type
  JOIN named AS own ON own.oid = atttypid
  JOIN named AS base_name ON base_name.oid = base.oid
  LEFT JOIN pg_type AS element ON element.oid = base.typelem
 WHERE base.typtype <> 'd'
 ORDER BY attrelid, attnum
