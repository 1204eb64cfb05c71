#!lua flags=allow-oom
-- Removes an entry from the stream whose event lies with the dead letters.
--   KEYS: events stream
--   ARGV: consumer group, consumer, entry id
-- Returns 1, or 0 when the consumer does not hold the entry any more: it has been taken over.
local events = KEYS[1]
local group, consumer, id = unpack(ARGV)
if #redis.call('XPENDING', events, group, id, id, 1, consumer) == 0 then return 0 end
redis.call('XDEL', events, id)
redis.call('XACK', events, group, id)
return 1
