#!lua flags=allow-oom
-- Deletes cache tags. Where a tag is a SET, its members name the entries that bear it: they go in
-- the same step, so that no reader finds an entry whose tag is gone.
--   KEYS: tags; with second deletions, behind them the sorted set of the tags that await one
--   ARGV: nothing; with second deletions, after how many milliseconds to delete these tags again, and how
--         many of those to delete whose time has come
-- Returns how many these were, and milliseconds until the next one's time, or -1 if none waits.
local wait, count = ARGV[1], ARGV[2]

local function delete(tags)
  -- Most often nothing of these users is cached.
  local any = false
  for first = 1, #tags, 1000 do
    any = any or redis.call('EXISTS', unpack(tags, first, math.min(first + 999, #tags))) > 0
  end
  if not any then return end
  for _, tag in ipairs(tags) do
    if redis.call('TYPE', tag).ok == 'set' then
      -- UNLINK takes its arguments over Lua's stack, which holds some thousands.
      local entries = redis.call('SMEMBERS', tag)
      for first = 1, #entries, 1000 do
        redis.call('UNLINK', unpack(entries, first, math.min(first + 999, #entries)))
      end
    end
    redis.call('UNLINK', tag)
  end
end

if not wait then
  delete(KEYS)
  return { 0, -1 }
end

local awaiting = table.remove(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Lua does not roll back: what adds comes before what deletes, and that before what removes.
local due_at = string.format('%.0f', now + wait)
for _, tag in ipairs(KEYS) do redis.call('ZADD', awaiting, 'GT', due_at, tag) end
local due = redis.call('ZRANGE', awaiting, '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, count)
delete(KEYS)
delete(due)
for _, tag in ipairs(due) do redis.call('ZREM', awaiting, tag) end

local next = redis.call('ZRANGE', awaiting, 0, 0, 'WITHSCORES')
if #next == 0 then return { #due, -1 } end
return { #due, math.max(0, tonumber(next[2]) - now) }
