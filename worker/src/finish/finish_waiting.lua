#!lua flags=allow-oom
-- Removes waiting entries that are finished, because they were applied together with one that did not
-- wait, and the dead letters of the same events.
--   KEYS: retry set, hash of waiting entries, index of their objects, index of awaited objects, dead letters' stream,
--         hash of dead letters' ids
--   ARGV: svix-ids
local retry, entries, objects, awaiting, dead, letters = unpack(KEYS)
for _, svix_id in ipairs(ARGV) do
  local letter = redis.call('HGET', letters, svix_id)
  if letter then
    redis.call('XDEL', dead, letter)
    redis.call('HDEL', letters, svix_id)
  end
  local packed = redis.call('HGET', entries, svix_id)
  if packed then
    local value, list = {}, cmsgpack.unpack(packed)
    for i = 1, #list, 2 do value[list[i]] = list[i + 1] end
    if value['object'] then redis.call('ZREM', objects, value['object'] .. '\0' .. svix_id) end
    if value['awaited'] then redis.call('ZREM', awaiting, value['awaited'] .. '\0' .. svix_id) end
    redis.call('HDEL', entries, svix_id)
    redis.call('ZREM', retry, svix_id)
  end
end
return #ARGV
