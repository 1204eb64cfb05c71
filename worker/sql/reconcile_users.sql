-- What is known of the users $1: their rows, and their newest events. Infinite times have no place in
-- the driver's type.
SELECT wanted.id,
       present.id IS NOT NULL,
       present.name::text,
       present.email::text,
       present."imageUrl"::text,
       least(greatest(present."createdAt", '0001-01-01'), '9999-12-31'),
       least(greatest(present."updatedAt", '0001-01-01'), '9999-12-31'),
       known.updated_at,
       greatest(known.event_at, '0001-01-01'),
       known.deleted
  FROM unnest($1::text[]) AS wanted (id)
  LEFT JOIN users AS present ON present.id = wanted.id
  LEFT JOIN clerk_sync.user_versions AS known ON known.user_id = wanted.id
