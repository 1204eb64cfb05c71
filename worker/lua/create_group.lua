#!lua flags=allow-oom
-- Makes sure that the stream and the group are there. A script, because XGROUP CREATE alone is refused
-- when Redis is full, and then nobody could drain it. The group begins with the oldest entry, so that
-- what came before it is not lost.
--   KEYS: events stream
--   ARGV: consumer group
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if created.err and not string.find(created.err, 'BUSYGROUP', 1, true) then return created end
return 1
