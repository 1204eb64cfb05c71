-- Deletes up to $2 versions of objects that have had no event for $1 days, of 24 hours each, and where the row is gone, with
-- its object or along with another one, also its owner. The owner of a row that is there stays: nothing else tells a later deletion which row it is.
-- A version that a worker holds is left alone: an event about its object is just being applied. So nobody is waited for.
WITH expired AS (
     SELECT family, object_id, deleted OR went_along AS is_gone
       FROM clerk_sync.versions
      WHERE applied_at < now() - make_interval(hours => 24 * $1::int)
      LIMIT $2::bigint
        FOR UPDATE SKIP LOCKED),
disowned AS (
     DELETE FROM clerk_sync.owners AS owner
      USING expired
      WHERE expired.is_gone AND owner.family = expired.family AND owner.object_id = expired.object_id)
DELETE FROM clerk_sync.versions AS known
 USING expired
 WHERE known.family = expired.family AND known.object_id = expired.object_id
