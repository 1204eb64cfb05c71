#!lua flags=allow-oom
-- Puts the entries whose next attempt is due back on the stream.
--   KEYS: events stream, retry set, hash of waiting entries, index of their objects, index of awaited objects
--   ARGV: how many at the most
-- Returns how many, and how many milliseconds until the next one is due, or -1 if none waits.
local events, retry, entries, objects, awaiting = unpack(KEYS)
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local due = redis.call('ZRANGE', retry, '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])
for _, svix_id in ipairs(due) do
  local packed = redis.call('HGET', entries, svix_id)
  if packed then
    local value, fields, list = {}, {}, cmsgpack.unpack(packed)
    for i = 1, #list, 2 do value[list[i]] = list[i + 1] end
    local object = value['object'] and value['object'] .. '\0' .. svix_id
    local awaited = value['awaited'] and value['awaited'] .. '\0' .. svix_id
    -- wake.lua has taken it out: the attempt after a waking counts for nothing.
    if awaited and not redis.call('ZSCORE', awaiting, awaited) then
      value['attempts'] = string.format('%.0f', math.max(0, (tonumber(value['attempts']) or 1) - 1))
    end
    for _, name in ipairs({ 'svix-id', 'type', 'payload', 'received-at', 'traceparent', 'attempts' }) do
      if value[name] then
        fields[#fields + 1] = name
        fields[#fields + 1] = value[name]
      end
    end
    redis.call('XADD', events, '*', unpack(fields))
    redis.call('HDEL', entries, svix_id)
    if object then redis.call('ZREM', objects, object) end
    if awaited then redis.call('ZREM', awaiting, awaited) end
  end
  redis.call('ZREM', retry, svix_id)
end

local next = redis.call('ZRANGE', retry, 0, 0, 'WITHSCORES')
if #next == 0 then return { #due, -1 } end
return { #due, math.max(0, tonumber(next[2]) - tonumber(now)) }
