#!lua flags=allow-oom
-- Removes waiting entries that are finished, because they were applied together with one that did not
-- wait, and the dead letters of the same events.
--   KEYS: retry set, hash of waiting entries, users of waiting entries, dead letters' stream, hash of dead
--         letters' ids
--   ARGV: pairs of svix-id and user id
local retry, entries, users, dead, letters = unpack(KEYS)
for i = 1, #ARGV, 2 do
  local svix_id, user = ARGV[i], ARGV[i + 1]
  local letter = redis.call('HGET', letters, svix_id)
  if letter then
    redis.call('XDEL', dead, letter)
    redis.call('HDEL', letters, svix_id)
  end
  redis.call('HDEL', entries, svix_id)
  redis.call('ZREM', retry, svix_id)
  redis.call('ZREM', users, user .. '\0' .. svix_id)
end
return #ARGV / 2
