#!lua flags=allow-oom
-- Makes sure that the stream and the group are there. A script, because XGROUP CREATE alone is refused
-- when Redis is full, and then nobody could drain it. The group begins with the oldest entry, so that
-- what came before it is not lost.
--   KEYS: events stream
--   ARGV: consumer group
-- Returns 1 if the group was not there: of many who find it gone one is told so. 0 if it was, or if it alone is
-- gone: from a stream that has lost nothing else entries have been removed before (Redis 7.0 tells).
local past = {}
if redis.call('EXISTS', KEYS[1]) == 1 then
  local list = redis.pcall('XINFO', 'STREAM', KEYS[1])
  for i = 1, #list, 2 do past[list[i]] = list[i + 1] end
end
local removed = past['max-deleted-entry-id']
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if not created.err then return (not removed or removed == '0-0') and 1 or 0 end
if string.find(created.err, 'BUSYGROUP', 1, true) then return 0 end
return created
