#!lua flags=allow-oom
-- Takes an entry from the stream and lets it wait for its next attempt.
--   KEYS: events stream, retry set, hash of waiting entries, index of their objects, index of awaited objects
--   ARGV: consumer group, consumer, entry id, failed attempts, milliseconds to wait, why; and where it waits for
--         another object, the object that it is about, the other one, and milliseconds after which it comes back
--         unless put_off.lua confirms that it is to wait longer
-- Returns when it is due and when it is to be due, or nothing when the consumer does not hold the entry any more: it
-- has been taken over.
local events, retry, entries, objects, awaiting = unpack(KEYS)
local group, consumer, id, attempts, wait, reason, object, awaited, unconfirmed = unpack(ARGV)

if #redis.call('XPENDING', events, group, id, id, 1, consumer) == 0 then return false end
local entry = redis.call('XRANGE', events, id, id)[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = string.format('%.0f', now + math.min(wait, unconfirmed or wait))

-- Lua does not roll back: what adds comes before what removes, so that an error loses nothing.
if entry then
  -- By name, because unpack takes some thousands of values at the most.
  local value = {}
  for i = 1, #entry[2], 2 do value[entry[2][i]] = entry[2][i + 1] end
  value['attempts'], value['reason'], value['object'], value['awaited'] = attempts, reason, object, awaited
  -- It gets another id, and an entry that was added by hand may tell the time by nothing else.
  local received_at = string.match(value['received-at'] or '', '^%d+$')
  if not received_at or tonumber(received_at) >= 253402300800000 then
    value['received-at'] = string.match(id, '^%d+')
  end
  local fields = {}
  for _, name in ipairs({ 'svix-id', 'type', 'payload', 'received-at', 'traceparent', 'attempts', 'reason',
    'object', 'awaited' }) do
    if value[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = value[name]
    end
  end
  -- A second delivery of an event that waits already adds nothing.
  local svix_id = value['svix-id']
  if redis.call('HSETNX', entries, svix_id, cmsgpack.pack(fields)) == 1 then
    redis.call('ZADD', retry, due, svix_id)
    if awaited then
      redis.call('ZADD', objects, 0, object .. '\0' .. svix_id)
      redis.call('ZADD', awaiting, 0, awaited .. '\0' .. svix_id)
    end
  end
end
redis.call('XDEL', events, id)
redis.call('XACK', events, group, id)
return { due, string.format('%.0f', now + wait) }
