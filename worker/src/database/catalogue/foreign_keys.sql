-- The foreign keys of the tables $1, and those of other tables that point at them. Those of partitions are left out:
-- their table's own stands for them.
SELECT conrelid,
       confrelid,
       conname::text AS name,
       own_schema.nspname::text AS schema,
       own.relname::text AS table,
       ARRAY(SELECT attname::text
               FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
               JOIN pg_attribute ON attrelid = conrelid AND attnum = number
              ORDER BY place) AS columns,
       NOT EXISTS (SELECT FROM pg_attribute
                    WHERE attrelid = conrelid AND attnum = ANY (conkey) AND attnotnull) AS takes_null,
       other_schema.nspname::text AS other_schema,
       other.relname::text AS other_table,
       ARRAY(SELECT attname::text
               FROM unnest(confkey) WITH ORDINALITY AS part (number, place)
               JOIN pg_attribute ON attrelid = confrelid AND attnum = number
              ORDER BY place) AS other_columns,
       CASE confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' END AS on_delete
  FROM pg_constraint
  JOIN pg_class AS own ON own.oid = conrelid
  JOIN pg_namespace AS own_schema ON own_schema.oid = own.relnamespace
  JOIN pg_class AS other ON other.oid = confrelid
  JOIN pg_namespace AS other_schema ON other_schema.oid = other.relnamespace
 WHERE contype = 'f' AND conparentid = 0 AND (conrelid = ANY ($1::oid[]) OR confrelid = ANY ($1::oid[]))
 ORDER BY schema, own.relname, conname
