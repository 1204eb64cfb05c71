#!lua flags=allow-oom
-- Makes waiting entries due soon, if they are not due before.
--   KEYS: retry set
--   ARGV: milliseconds from now, svix-ids
local time = redis.call('TIME')
local due = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1])
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', 'LT', due, ARGV[i]) end
return #ARGV - 1
