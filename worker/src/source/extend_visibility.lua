#!lua flags=allow-oom
-- Tells the others that a consumer is still working on entries, so that nobody takes them over.
-- Only those that it still holds: claiming one that another has taken over would steal it back.
--   KEYS: events stream
--   ARGV: consumer group, consumer, entry ids
local events = KEYS[1]
local group, consumer = ARGV[1], ARGV[2]
for i = 3, #ARGV do
  local id = ARGV[i]
  if #redis.call('XPENDING', events, group, id, id, 1, consumer) == 1 then
    redis.call('XCLAIM', events, group, consumer, 0, id, 'JUSTID')
  end
end
return #ARGV - 2
