#!lua flags=allow-oom
-- Puts what a consumer holds, but for the entries it is working on, back on the stream, where
-- another consumer reads it at once; a consumer that then holds nothing is removed if it leaves.
--   KEYS: events stream
--   ARGV: consumer group, consumer, "leave" or "stay", ids of the entries that it is working on
-- Returns how many entries were put back.
local events = KEYS[1]
local group, consumer, manner = ARGV[1], ARGV[2], ARGV[3]
local working = {}
for i = 4, #ARGV do working[ARGV[i]] = true end

local back, held, start = 0, 0, '-'
while true do
  local pending = redis.call('XPENDING', events, group, start, '+', 100, consumer)
  if #pending == 0 then break end
  for _, entry in ipairs(pending) do
    local id = entry[1]
    start = '(' .. id
    if working[id] then
      held = held + 1
    else
      local found = redis.call('XRANGE', events, id, id)[1]
      if found then
        redis.call('XADD', events, '*', unpack(found[2]))
        redis.call('XDEL', events, id)
        back = back + 1
      end
      redis.call('XACK', events, group, id)
    end
  end
end
if manner == 'leave' and held == 0 then
  redis.call('XGROUP', 'DELCONSUMER', events, group, consumer)
end
return back
