#!lua flags=allow-oom
-- Tells what waits of one user until an address is free.
--   KEYS: hash of waiting entries, users of waiting entries
--   ARGV: user id
-- Returns svix-id and fields of each, as XRANGE does.
local entries, users = KEYS[1], KEYS[2]
local found = {}
-- A user id holds no NUL byte, so the id with one behind it begins that user's members and nobody else's.
for _, member in ipairs(redis.call('ZRANGE', users, '[' .. ARGV[1] .. '\0', '(' .. ARGV[1] .. '\1', 'BYLEX')) do
  local svix_id = string.sub(member, #ARGV[1] + 2)
  local packed = redis.call('HGET', entries, svix_id)
  if packed then found[#found + 1] = { svix_id, cmsgpack.unpack(packed) } end
end
return found
