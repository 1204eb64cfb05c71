#!lua flags=no-writes
-- Tells which events about an object wait for another one.
--   KEYS: hash of waiting entries, index of their objects
--   ARGV: object, how many at the most
-- Returns svix-id and fields of each, as XRANGE does.
local entries, objects = KEYS[1], KEYS[2]
local object, count = ARGV[1], ARGV[2]
local found = {}
-- The name of an object holds no NUL byte, so with one behind it it begins its own members and no others.
local members = redis.call('ZRANGE', objects, '[' .. object .. '\0', '(' .. object .. '\1', 'BYLEX', 'LIMIT', 0, count)
for _, member in ipairs(members) do
  local svix_id = string.sub(member, #object + 2)
  local packed = redis.call('HGET', entries, svix_id)
  if packed then found[#found + 1] = { svix_id, cmsgpack.unpack(packed) } end
end
return found
