#!lua flags=allow-oom
-- Tells the handlers `redis-strings` of Next.js that what bears a tag and was written before now is out of
-- date: they look its tags up in this hash whenever they read an entry.
--   KEYS: hash of revalidation times; with second deletions, the sorted set of the tags that await one
--   ARGV: after how many milliseconds to do it again with these tags, with how many to do it whose time has
--         come, tags
-- Returns how many these were, and milliseconds until the next one's time, or -1 if none waits.
local times, awaiting = KEYS[1], KEYS[2]
local wait, count = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- They keep an entry that was written in the millisecond of the revalidation, and it may have been
-- written before it.
local revalidated_at = string.format('%.0f', now + 1)
local due_at = string.format('%.0f', now + wait)
for i = 3, #ARGV do
  if awaiting then redis.call('ZADD', awaiting, 'GT', due_at, ARGV[i]) end
  redis.call('HSET', times, ARGV[i], revalidated_at)
end
if not awaiting then return { 0, -1 } end

local due = redis.call('ZRANGE', awaiting, '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, count)
for _, tag in ipairs(due) do
  redis.call('HSET', times, tag, revalidated_at)
  redis.call('ZREM', awaiting, tag)
end
local next = redis.call('ZRANGE', awaiting, 0, 0, 'WITHSCORES')
if #next == 0 then return { #due, -1 } end
return { #due, math.max(0, tonumber(next[2]) - now) }
