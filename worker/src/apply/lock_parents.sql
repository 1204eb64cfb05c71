-- Locks what is known of objects ($2, of the families $1) that rows refer to: against changes, and where this transaction is
-- to change them ($3) against everybody. Tells those of which something is known. One by one in the order in which they
-- are given, which is the same for all transactions, so that none waits for another in a ring.
SELECT wanted.family, wanted.object_id
  FROM unnest($1::text[], $2::text[], $3::boolean[])
    AS wanted (family, object_id, is_changed)
  LEFT JOIN LATERAL (SELECT true AS is_locked
                       FROM clerk_sync.versions AS known
                      WHERE wanted.is_changed AND known.family = wanted.family AND known.object_id = wanted.object_id
                        FOR UPDATE) AS changed ON true
  LEFT JOIN LATERAL (SELECT true AS is_locked
                       FROM clerk_sync.versions AS known
                      WHERE NOT wanted.is_changed AND known.family = wanted.family AND known.object_id = wanted.object_id
                        FOR SHARE) AS kept ON true
 WHERE coalesce(changed.is_locked, kept.is_locked)
