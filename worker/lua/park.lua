#!lua flags=allow-oom
-- Takes an entry from the stream and lets it wait for its next attempt.
--   KEYS: events stream, retry set, hash of waiting entries
--   ARGV: consumer group, consumer, entry id, failed attempts, milliseconds to wait,
--         "meet" to be due at a multiple of that time, together with others, or "apart"
-- Returns 1, or 0 when the consumer does not hold the entry any more: it has been taken over.
local events, retry, entries = KEYS[1], KEYS[2], KEYS[3]
local group, consumer, id, attempts, wait, manner = unpack(ARGV)

if #redis.call('XPENDING', events, group, id, id, 1, consumer) == 0 then return 0 end
local entry = redis.call('XRANGE', events, id, id)[1]

-- Lua does not roll back: what adds comes before what removes, so that an error loses nothing.
if entry then
  -- By name, because unpack takes some thousands of values at the most.
  local value = { attempts = attempts }
  for i = 1, #entry[2], 2 do
    if entry[2][i] ~= 'attempts' then value[entry[2][i]] = entry[2][i + 1] end
  end
  local fields = {}
  for _, name in ipairs({ 'svix-id', 'type', 'payload', 'received-at', 'attempts' }) do
    if value[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = value[name]
    end
  end
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  wait = tonumber(wait)
  local due = now + wait
  if manner == 'meet' then due = (math.floor(now / wait) + 1) * wait end
  -- A second delivery of an event that waits already adds nothing.
  if redis.call('HSETNX', entries, value['svix-id'], cmsgpack.pack(fields)) == 1 then
    redis.call('ZADD', retry, string.format('%.0f', due), value['svix-id'])
  end
end
redis.call('XDEL', events, id)
redis.call('XACK', events, group, id)
return 1
