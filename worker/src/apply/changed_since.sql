-- Which objects ($1) do not have the version any more that they were seen with ($2).
SELECT DISTINCT seen.object
  FROM unnest($1::text[], $2::text[]) AS seen (object, svix_id)
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = split_part(seen.object, '/', 1)
   AND known.object_id = substr(seen.object, strpos(seen.object, '/') + 1)
 WHERE coalesce(known.touched_by, known.svix_id) IS DISTINCT FROM seen.svix_id
