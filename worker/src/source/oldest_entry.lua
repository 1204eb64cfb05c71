#!lua flags=no-writes
-- Tells how long the oldest entry has been in the stream, in milliseconds; 0 where there is none. A script,
-- because XRANGE would bring its payload, too.
--   KEYS: events stream
local entry = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if not entry then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Whoever adds by hand may choose an id of tomorrow.
return math.max(0, now - string.match(entry[1], '^%d+'))
