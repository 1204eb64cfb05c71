-- Whether any schema of the search path has a table users, or a view. PostgreSQL leaves schemas out that our
-- role may not look into; a table in one of them is there all the same, so the setting itself is read too.
SELECT EXISTS (
    SELECT FROM pg_class
      JOIN pg_namespace ON pg_namespace.oid = relnamespace
     WHERE relname = 'users'
       AND relkind IN ('r', 'p', 'v', 'm', 'f')
       AND (nspname = ANY (current_schemas(false))
            OR nspname IN (SELECT replace(trim(BOTH '" ' FROM entry), '$user', current_user)
                             FROM unnest(string_to_array(current_setting('search_path'), ',')) AS entry)))
