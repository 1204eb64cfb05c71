#!lua flags=allow-oom
-- Makes waiting events due soon, if they are not due before.
--   KEYS: retry set
--   ARGV: milliseconds from now, svix-ids
-- Returns of each event that is due sooner now, for put_off.lua: svix-id, when it is due, when it was due.
local retry = KEYS[1]
local time = redis.call('TIME')
local due = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1])
local hastened = {}
for i = 2, #ARGV do
  local before = redis.call('ZSCORE', retry, ARGV[i])
  if before and tonumber(before) > tonumber(due) then
    redis.call('ZADD', retry, due, ARGV[i])
    hastened[#hastened + 1] = { ARGV[i], due, before }
  end
end
return hastened
