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

-- By name, because unpack takes some thousands of values at the most.
local function fields_of(id, entry)
  local value, fields = {}, {}
  for i = 1, #entry, 2 do value[entry[i]] = entry[i + 1] end
  if not (value['svix-id'] or value['type'] or value['payload']) then return fields end
  -- It gets another id, and an entry that was added by hand may tell the time by nothing else.
  local received_at = string.match(value['received-at'] or '', '^%d+$')
  if not received_at or tonumber(received_at) >= 253402300800000 then
    value['received-at'] = string.match(id, '^%d+')
  end
  for _, name in ipairs({ 'svix-id', 'type', 'payload', 'received-at', 'traceparent', 'attempts' }) do
    if value[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = value[name]
    end
  end
  return fields
end

local back, held, start = 0, 0, '-'
while true do
  local pending = redis.call('XPENDING', events, group, start, '+', 100, consumer)
  if #pending == 0 then break end
  for _, entry in ipairs(pending) do
    local id = entry[1]
    start = '(' .. id
    local found = redis.call('XRANGE', events, id, id)[1]
    local fields = found and fields_of(id, found[2])
    if working[id] or (fields and #fields == 0) then
      -- One without any field of ours is taken over, and dead-lettered, where it is.
      held = held + 1
    else
      if fields then
        redis.call('XADD', events, '*', unpack(fields))
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
