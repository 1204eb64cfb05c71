#!lua flags=allow-oom
-- Removes waiting entries that are finished: they were applied together with one that did not wait.
--   KEYS: retry set, hash of waiting entries, users of waiting entries
--   ARGV: pairs of svix-id and user id
local retry, entries, users = KEYS[1], KEYS[2], KEYS[3]
for i = 1, #ARGV, 2 do
  local svix_id, user = ARGV[i], ARGV[i + 1]
  redis.call('HDEL', entries, svix_id)
  redis.call('ZREM', retry, svix_id)
  redis.call('ZREM', users, user .. '\0' .. svix_id)
end
return #ARGV / 2
