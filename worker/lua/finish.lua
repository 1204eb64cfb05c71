#!lua flags=allow-oom
-- Acknowledges and removes entries that are finished, in one step. A script, because MULTI is refused
-- when Redis is full, and this is what makes room.
--   KEYS: events stream
--   ARGV: consumer group, entry ids
for i = 2, #ARGV do
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[i])
  redis.call('XDEL', KEYS[1], ARGV[i])
end
return #ARGV - 1
