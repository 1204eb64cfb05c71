#!lua flags=allow-oom
-- Takes an entry from the stream and lets it wait for its next attempt.
--   KEYS: events stream, retry set, hash of waiting entries, users of waiting entries
--   ARGV: consumer group, consumer, entry id, failed attempts, milliseconds to wait, why; and where it
--         waits for an address, the user's id and the id of the user who holds it
-- Returns 1, or 0 when the consumer does not hold the entry any more: it has been taken over.
local events, retry, entries, users = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local group, consumer, id, attempts, wait, reason, user, holder = unpack(ARGV)

if #redis.call('XPENDING', events, group, id, id, 1, consumer) == 0 then return 0 end
local entry = redis.call('XRANGE', events, id, id)[1]

-- Lua does not roll back: what adds comes before what removes, so that an error loses nothing.
if entry then
  -- By name, because unpack takes some thousands of values at the most.
  local value = {}
  for i = 1, #entry[2], 2 do value[entry[2][i]] = entry[2][i + 1] end
  value['attempts'], value['reason'], value['user-id'], value['holder'] = attempts, reason, user, holder
  -- It gets another id, and an entry that was added by hand may tell the time by nothing else.
  local received_at = string.match(value['received-at'] or '', '^%d+$')
  if not received_at or tonumber(received_at) >= 253402300800000 then
    value['received-at'] = string.match(id, '^%d+')
  end
  local fields = {}
  for _, name in ipairs({ 'svix-id', 'type', 'payload', 'received-at', 'traceparent', 'attempts', 'reason',
    'user-id', 'holder' }) do
    if value[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = value[name]
    end
  end
  local time = redis.call('TIME')
  local due = time[1] * 1000 + math.floor(time[2] / 1000) + wait
  -- A second delivery of an event that waits already adds nothing.
  local svix_id = value['svix-id']
  if redis.call('HSETNX', entries, svix_id, cmsgpack.pack(fields)) == 1 then
    redis.call('ZADD', retry, string.format('%.0f', due), svix_id)
    if user then redis.call('ZADD', users, 0, user .. '\0' .. svix_id) end
  end
end
redis.call('XDEL', events, id)
redis.call('XACK', events, group, id)
return 1
