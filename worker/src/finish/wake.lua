#!lua flags=allow-oom
-- Makes events due that wait for objects which have changed. They leave the index, so nobody is woken twice, and
-- unpark.lua knows by it that they were woken.
--   KEYS: retry set, index of awaited objects
--   ARGV: how many at the most, then objects
-- Returns how many it has found. If that is as many as it may, there may be more.
local retry, awaiting = KEYS[1], KEYS[2]
local left = tonumber(ARGV[1])
for i = 2, #ARGV do
  local object = ARGV[i]
  -- The name of an object holds no NUL byte, so with one behind it it begins its own members and no others.
  local members = redis.call('ZRANGE', awaiting, '[' .. object .. '\0', '(' .. object .. '\1', 'BYLEX', 'LIMIT', 0, left)
  for _, member in ipairs(members) do
    -- Not now, but at a time that put_off.lua takes for none of its own.
    redis.call('ZADD', retry, 'XX', 0, string.sub(member, #object + 2))
    redis.call('ZREM', awaiting, member)
  end
  left = left - #members
end
return ARGV[1] - left
