#!lua flags=allow-oom
-- Forgets tags that have been deleted a second time.
--   KEYS: sorted set of the tags that await one
--   ARGV: pairs of tag and the time it had; with a later one it has been deleted a first time since
local awaiting = KEYS[1]
for i = 1, #ARGV, 2 do
  if redis.call('ZSCORE', awaiting, ARGV[i]) == ARGV[i + 1] then
    redis.call('ZREM', awaiting, ARGV[i])
  end
end
return #ARGV / 2
