#!lua flags=allow-oom
-- Makes events due when they are to be, which were due sooner by hasten.lua or park.lua in case their worker dies. One
-- that has another time by now is left alone: it was woken, has come back, has failed and waits anew, or an operator has
-- made it due.
--   KEYS: retry set
--   ARGV: for each event: svix-id, when hasten.lua or park.lua made it due, when it is to be due
local retry = KEYS[1]
for i = 1, #ARGV, 3 do
  local svix_id, due, later = unpack(ARGV, i, i + 2)
  if redis.call('ZSCORE', retry, svix_id) == due then redis.call('ZADD', retry, later, svix_id) end
end
return #ARGV / 3
