-- Who we are to the database, and what it is like.
SELECT current_user::text AS role,
       current_database()::text AS database,
       current_setting('server_encoding') AS encoding,
       current_setting('search_path') AS search_path,
       current_schema()::text AS schema,
       has_database_privilege(current_database(), 'CREATE') AS creates_schemas,
       coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates_tables,
       to_regnamespace('clerk_sync') IS NOT NULL AS has_clerk_sync
