#!lua flags=allow-oom
-- Makes sure that the stream and the group are there. A script, because XGROUP CREATE alone is refused
-- when Redis is full, and then nobody could drain it. The group begins with the oldest entry, so that
-- what came before it is not lost.
--   KEYS: events stream
--   ARGV: consumer group
-- Returns 1 if the group was not there: of many who find it gone one is told so. 0 if it was.
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if not created.err then return 1 end
if string.find(created.err, 'BUSYGROUP', 1, true) then return 0 end
return created
