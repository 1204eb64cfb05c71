#!lua flags=allow-oom
-- Writes down that cache tags are to be deleted a second time, and tells whose time has come. For a
-- cluster, where the tags themselves lie elsewhere.
--   KEYS: sorted set of the tags that await one
--   ARGV: after how many milliseconds, how many to tell at the most, tags
-- Returns pairs of tag and time, and milliseconds until the next one's time, or -1 if none waits.
local awaiting = KEYS[1]
local wait, count = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due_at = string.format('%.0f', now + wait)
for i = 3, #ARGV do redis.call('ZADD', awaiting, 'GT', due_at, ARGV[i]) end

local list = redis.call('ZRANGE', awaiting, '-inf', string.format('%.0f', now), 'BYSCORE',
  'LIMIT', 0, count, 'WITHSCORES')
local due = {}
for i = 1, #list, 2 do due[#due + 1] = { list[i], list[i + 1] } end
-- Those that are told stay until they have been deleted.
local next = redis.call('ZRANGE', awaiting, #due, #due, 'WITHSCORES')
if #next == 0 then return { due, -1 } end
return { due, math.max(0, tonumber(next[2]) - now) }
