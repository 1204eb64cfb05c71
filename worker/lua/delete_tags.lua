#!lua flags=allow-oom
-- Deletes cache tags. Where a tag is a SET, its members name the entries that bear it: they go in
-- the same step, so that no reader finds an entry whose tag is gone.
--   KEYS: tags
-- Returns how many keys were deleted.
local deleted = 0
-- Most often nothing of these users is cached.
local any = false
for first = 1, #KEYS, 1000 do
  any = any or redis.call('EXISTS', unpack(KEYS, first, math.min(first + 999, #KEYS))) > 0
end
if not any then return 0 end
for _, tag in ipairs(KEYS) do
  if redis.call('TYPE', tag).ok == 'set' then
    -- UNLINK takes its arguments over Lua's stack, which holds some thousands.
    local entries = redis.call('SMEMBERS', tag)
    for first = 1, #entries, 1000 do
      local last = math.min(first + 999, #entries)
      deleted = deleted + redis.call('UNLINK', unpack(entries, first, last))
    end
  end
  deleted = deleted + redis.call('UNLINK', tag)
end
return deleted
