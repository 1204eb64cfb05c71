#!lua flags=allow-oom
-- Puts the entries whose next attempt is due back on the stream.
--   KEYS: events stream, retry set, hash of waiting entries
--   ARGV: how many at the most
-- Returns how many, and how many milliseconds until the next one is due, or -1 if none waits.
local events, retry, entries = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))

local due = redis.call('ZRANGE', retry, '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[1])
-- Those who wait for each other's addresses are due at the same instant, but workers that read at the
-- same time divide them up. In another order each time, so that two who were parted will meet: by
-- svix-id, as they come, they would be parted the same way for ever. Lua's numbers are the same in
-- every run of a script unless it says where they begin.
math.randomseed(time[1] + time[2])
for i = #due, 2, -1 do
  local j = math.random(i)
  due[i], due[j] = due[j], due[i]
end
for _, svix_id in ipairs(due) do
  local packed = redis.call('HGET', entries, svix_id)
  if packed then
    redis.call('XADD', events, '*', unpack(cmsgpack.unpack(packed)))
    redis.call('HDEL', entries, svix_id)
  end
  redis.call('ZREM', retry, svix_id)
end

local next = redis.call('ZRANGE', retry, 0, 0, 'WITHSCORES')
if #next == 0 then return { #due, -1 } end
return { #due, math.max(0, tonumber(next[2]) - tonumber(now)) }
