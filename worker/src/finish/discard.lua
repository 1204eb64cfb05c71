#!lua flags=allow-oom
-- Removes entries from the stream whose events lie with the dead letters, but for those that the consumer does
-- not hold any more: they have been taken over.
--   KEYS: events stream
--   ARGV: consumer group, consumer, entry ids
-- Returns how many.
local events = KEYS[1]
local group, consumer = ARGV[1], ARGV[2]
local discarded = 0
for i = 3, #ARGV do
  local id = ARGV[i]
  if #redis.call('XPENDING', events, group, id, id, 1, consumer) > 0 then
    redis.call('XDEL', events, id)
    redis.call('XACK', events, group, id)
    discarded = discarded + 1
  end
end
return discarded
