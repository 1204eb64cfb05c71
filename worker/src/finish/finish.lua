#!lua flags=allow-oom
-- Acknowledges and removes entries that are finished, in one step, and the dead letters of the same
-- events: another copy may have failed before. A script, because MULTI is refused when Redis is full, and
-- this is what makes room.
--   KEYS: events stream, dead letters' stream, hash of dead letters' ids
--   ARGV: consumer group, pairs of entry id and svix-id
local events, dead, letters = KEYS[1], KEYS[2], KEYS[3]
local group = ARGV[1]
local any_dead = redis.call('EXISTS', letters) == 1
local ids = {}
for i = 2, #ARGV, 2 do
  local id, svix_id = ARGV[i], ARGV[i + 1]
  local letter = any_dead and redis.call('HGET', letters, svix_id)
  if letter then
    redis.call('XDEL', dead, letter)
    redis.call('HDEL', letters, svix_id)
  end
  ids[#ids + 1] = id
end
-- Many at a time, so that the append-only file has few commands to hold; but not more than Lua's
-- stack holds.
for first = 1, #ids, 1000 do
  local last = math.min(first + 999, #ids)
  redis.call('XACK', events, group, unpack(ids, first, last))
  redis.call('XDEL', events, unpack(ids, first, last))
end
return #ids
