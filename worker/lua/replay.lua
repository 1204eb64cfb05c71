#!lua flags=allow-oom
-- Moves dead letters back to the events stream, to be tried again as if they were new.
--
--   redis-cli --eval replay.lua '{clerk:0}:dead' '{clerk:0}:events' , msg_x        one event
--   redis-cli --eval replay.lua '{clerk:0}:dead' '{clerk:0}:events' , all          every one
--   redis-cli --eval replay.lua '{clerk:0}:dead' '{clerk:0}:events' , reason TEXT  by reason
--
-- Atomic and safe to repeat: a letter is on one of the two streams at any time. Returns how many it moved, 10,000 at
-- the most, because Redis does nothing else meanwhile; after `all` also how many letters are left.
local dead, events = KEYS[1], KEYS[2]
local most = 10000
-- With one key twice the loop below would never end: it would go on with what it has just moved.
if not dead or not events or dead == events then
  return redis.error_reply('ERR name two keys before the comma: the dead letters and the events')
end
local what = ARGV[1]
if not what or what == '' then
  return redis.error_reply("ERR say which after the comma: a svix-id, 'all', or 'reason TEXT'")
end
-- redis-cli splits TEXT at its spaces unless it is quoted.
local text = table.concat(ARGV, ' ', 2)
if what == 'reason' and text == '' then
  return redis.error_reply("ERR 'reason' needs the text that the reason contains")
end
if what ~= 'reason' and #ARGV > 1 then
  return redis.error_reply("ERR only 'reason' takes a text; name one svix-id, or 'all'")
end

local function matches(field)
  if what == 'all' then return true end
  if what == 'reason' then return string.find(field.reason or '', text, 1, true) ~= nil end
  return field['svix-id'] == what
end

local function kept(id, field)
  -- It gets another id, and a letter that was added by hand may tell the time by nothing else.
  local received_at = string.match(field['received-at'] or '', '^%d+$')
  if not received_at or tonumber(received_at) >= 253402300800000 then
    field['received-at'] = string.match(id, '^%d+')
  end
  local fields = {}
  for _, name in ipairs({ 'svix-id', 'type', 'payload', 'received-at', 'traceparent' }) do
    if field[name] then
      fields[#fields + 1] = name
      fields[#fields + 1] = field[name]
    end
  end
  return fields
end

local moved, start = 0, '-'
while moved < most do
  local letters = redis.call('XRANGE', dead, start, '+', 'COUNT', math.min(100, most - moved))
  if #letters == 0 then break end
  for _, letter in ipairs(letters) do
    local id, list = letter[1], letter[2]
    -- By name, because unpack takes some thousands of values at the most.
    local field = {}
    for i = 1, #list, 2 do field[list[i]] = list[i + 1] end
    if matches(field) and (field['svix-id'] or field.type or field.payload) then
      redis.call('XADD', events, '*', unpack(kept(id, field)))
      redis.call('XDEL', dead, id)
      moved = moved + 1
    end
    start = '(' .. id
  end
end
if what == 'all' then
  return redis.status_reply(string.format('%d moved, %d left', moved, redis.call('XLEN', dead)))
end
return moved
