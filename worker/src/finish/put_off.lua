#!lua flags=allow-oom
-- Makes events due when they were before hasten.lua. One that has another time by now is left alone: it has come back,
-- has failed and waits anew, or an operator has made it due.
--   KEYS: retry set
--   ARGV: for each event: svix-id, when hasten.lua made it due, when it was due before
local retry = KEYS[1]
for i = 1, #ARGV, 3 do
  local svix_id, due, before = unpack(ARGV, i, i + 2)
  if redis.call('ZSCORE', retry, svix_id) == due then redis.call('ZADD', retry, before, svix_id) end
end
return #ARGV / 3
