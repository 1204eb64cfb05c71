#!lua flags=allow-oom
-- Acknowledges and removes entries that are finished, in one step, and the dead letters of the same
-- events: another copy may have failed before. A script, because MULTI is refused when Redis is full, and
-- this is what makes room.
--   KEYS: events stream, dead letters' stream, hash of dead letters' ids
--   ARGV: consumer group, pairs of entry id and svix-id
local events, dead, letters = KEYS[1], KEYS[2], KEYS[3]
local group = ARGV[1]
local any_dead = redis.call('EXISTS', letters) == 1
for i = 2, #ARGV, 2 do
  local id, svix_id = ARGV[i], ARGV[i + 1]
  local letter = any_dead and redis.call('HGET', letters, svix_id)
  if letter then
    redis.call('XDEL', dead, letter)
    redis.call('HDEL', letters, svix_id)
  end
  redis.call('XACK', events, group, id)
  redis.call('XDEL', events, id)
end
return (#ARGV - 1) / 2
