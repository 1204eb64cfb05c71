#!lua flags=allow-oom
-- Removes consumers that are gone and hold nothing. XGROUP DELCONSUMER on one that holds entries
-- would strand them, so looking and removing are one step. A living consumer that is removed all the
-- same loses nothing: its next read creates it again.
--   KEYS: events stream
--   ARGV: consumer group, milliseconds without a sign of life
-- Returns how many were removed.
local events = KEYS[1]
local group, limit = ARGV[1], tonumber(ARGV[2])
local removed = 0
for _, list in ipairs(redis.call('XINFO', 'CONSUMERS', events, group)) do
  local consumer = {}
  for i = 1, #list, 2 do consumer[list[i]] = list[i + 1] end
  if consumer.pending == 0 and consumer.idle > limit then
    redis.call('XGROUP', 'DELCONSUMER', events, group, consumer.name)
    removed = removed + 1
  end
end
return removed
