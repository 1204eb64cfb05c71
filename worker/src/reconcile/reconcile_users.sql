-- What is known of the users $1: their rows, and their newest events. About times see addresses_held.sql.
SELECT wanted.id,
       present.id IS NOT NULL,
       present.name::text,
       present.email::text,
       present."imageUrl"::text,
       least(greatest(present."createdAt", '0001-01-01'), '9999-12-31')::timestamptz,
       least(greatest(present."updatedAt", '0001-01-01'), '9999-12-31')::timestamptz,
       least(greatest(known.updated_at, '0001-01-01'), '9999-12-31'),
       greatest(known.event_at, '0001-01-01'),
       known.deleted
  FROM unnest($1::text[]) AS wanted (id)
  LEFT JOIN users AS present ON present.id = wanted.id
  LEFT JOIN clerk_sync.versions AS known ON known.family = 'user' AND known.object_id = wanted.id
