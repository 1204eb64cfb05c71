#!lua flags=allow-oom
-- Tells what waits of one user until an address is free.
--   KEYS: hash of waiting entries, users of waiting entries
--   ARGV: user id, how many at the most
-- Returns svix-id and fields of each, as XRANGE does.
local entries, users = KEYS[1], KEYS[2]
local user, count = ARGV[1], ARGV[2]
local found = {}
-- A user id holds no NUL byte, so the id with one behind it begins that user's members and nobody else's.
local members = redis.call('ZRANGE', users, '[' .. user .. '\0', '(' .. user .. '\1', 'BYLEX', 'LIMIT', 0, count)
for _, member in ipairs(members) do
  local svix_id = string.sub(member, #user + 2)
  local packed = redis.call('HGET', entries, svix_id)
  if packed then
    found[#found + 1] = { svix_id, cmsgpack.unpack(packed) }
  else
    -- Returned by a worker of a version that knew no users.
    redis.call('ZREM', users, member)
  end
end
return found
