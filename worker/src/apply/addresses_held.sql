-- Who holds the addresses $1, which address the users $2 hold, and the version by which they do. A time that is missing
-- (greatest passes over NULL) counts as the oldest; one that is infinite, or before or after ours, has no place in the
-- driver's type.
SELECT coalesce(present.id::text, ''), present.email::text,
       least(greatest(present."updatedAt", '0001-01-01'), '9999-12-31')::timestamptz,
       known.svix_id
  FROM users AS present
  LEFT JOIN clerk_sync.versions AS known
    ON known.family = 'user' AND known.object_id = present.id::text COLLATE "C"
 WHERE present.email = ANY($1::text[]) OR present.id = ANY($2::text[])
