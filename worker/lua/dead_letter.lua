#!lua flags=allow-oom
-- Takes an entry from the stream and puts it with the dead letters.
--   KEYS: events stream, dead letters' stream
--   ARGV: consumer group, consumer, entry id, reason, attempts
-- Returns 1, or 0 when the consumer does not hold the entry any more: it has been taken over.
local events, dead = KEYS[1], KEYS[2]
local group, consumer, id, reason, attempts = unpack(ARGV)

if #redis.call('XPENDING', events, group, id, id, 1, consumer) == 0 then return 0 end
local entry = redis.call('XRANGE', events, id, id)[1]

-- Lua does not roll back: what adds comes before what removes, so that an error loses nothing.
if entry then
  -- By name, because unpack takes some thousands of values at the most.
  local value = {}
  for i = 1, #entry[2], 2 do value[entry[2][i]] = entry[2][i + 1] end
  local time = redis.call('TIME')
  value['reason'] = reason
  value['attempts'] = attempts
  value['failed-at'] = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  local letter = {}
  for _, name in ipairs({ 'svix-id', 'type', 'payload', 'received-at', 'reason', 'attempts', 'failed-at' }) do
    if value[name] then
      letter[#letter + 1] = name
      letter[#letter + 1] = value[name]
    end
  end
  redis.call('XADD', dead, '*', unpack(letter))
end
redis.call('XDEL', events, id)
redis.call('XACK', events, group, id)
return 1
