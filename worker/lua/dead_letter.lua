#!lua flags=allow-oom
-- Takes an entry from the stream and puts it with the dead letters.
--   KEYS: events stream, dead letters' stream
--   ARGV: consumer group, consumer, entry id, reason, attempts
-- Returns 1, or 0 when the consumer does not hold the entry any more: it has been taken over.
local events, dead = KEYS[1], KEYS[2]
local group, consumer, id, reason, attempts = unpack(ARGV)

if #redis.call('XPENDING', events, group, id, id, 1, consumer) == 0 then return 0 end
local entry = redis.call('XRANGE', events, id, id)[1]
redis.call('XACK', events, group, id)
redis.call('XDEL', events, id)
if not entry then return 0 end

local letter = {}
for i = 1, #entry[2], 2 do
  local name = entry[2][i]
  if name ~= 'attempts' and name ~= 'reason' and name ~= 'failed-at' then
    letter[#letter + 1] = name
    letter[#letter + 1] = entry[2][i + 1]
  end
end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
for _, field in ipairs({ 'reason', reason, 'attempts', attempts, 'failed-at', now }) do
  letter[#letter + 1] = field
end
redis.call('XADD', dead, '*', unpack(letter))
return 1
