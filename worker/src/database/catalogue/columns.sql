-- The types of the columns of users, each with what stands behind it in parentheses (atttypmod), a domain
-- with those that it stands for. https://www.postgresql.org/docs/15/catalog-pg-type.html
WITH RECURSIVE stored (name, type, modifier) AS (
    SELECT attname, atttypid, atttypmod
      FROM pg_attribute
     WHERE attrelid = to_regclass('users') AND attnum > 0 AND NOT attisdropped
     UNION ALL
    SELECT name, typbasetype, typtypmod
      FROM stored
      JOIN pg_type ON pg_type.oid = type
     WHERE typtype = 'd'
)
SELECT name::text, type, modifier FROM stored
