-- The policies of the tables $1 that are about our role. true where it lets every row pass.
SELECT polrelid AS table,
       polname::text AS name,
       CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' END AS command,
       polpermissive AS is_permissive,
       coalesce(pg_get_expr(polqual, polrelid) = 'true', polcmd = 'a') AS shows_all,
       coalesce(pg_get_expr(coalesce(polwithcheck, polqual), polrelid) = 'true', polcmd IN ('r', 'd')) AS takes_all
  FROM pg_policy
 WHERE polrelid = ANY ($1::oid[])
   AND EXISTS (SELECT FROM unnest(polroles) AS role WHERE role = 0 OR pg_has_role(role, 'USAGE'))
 ORDER BY polrelid, polname
