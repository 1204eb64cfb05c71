#!lua flags=allow-oom
-- Moves dead letters back to the events stream, to be tried again as if they were new.
--
--   redis-cli --eval replay.lua '{clerk:0}:dead' '{clerk:0}:events' , msg_x        one event
--   redis-cli --eval replay.lua '{clerk:0}:dead' '{clerk:0}:events' , all          every one
--   redis-cli --eval replay.lua '{clerk:0}:dead' '{clerk:0}:events' , reason TEXT  by reason
--
-- Atomic and safe to repeat: a letter is on one of the two streams at any time. Returns how many it
-- moved.
local dead, events = KEYS[1], KEYS[2]
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

local moved, start = 0, '-'
while true do
  local letters = redis.call('XRANGE', dead, start, '+', 'COUNT', 100)
  if #letters == 0 then return moved end
  for _, letter in ipairs(letters) do
    local id, list = letter[1], letter[2]
    -- By name, because unpack takes some thousands of values at the most.
    local field, kept = {}, {}
    for i = 1, #list, 2 do field[list[i]] = list[i + 1] end
    for _, name in ipairs({ 'svix-id', 'type', 'payload', 'received-at', 'traceparent' }) do
      if field[name] then
        kept[#kept + 1] = name
        kept[#kept + 1] = field[name]
      end
    end
    if #kept > 0 and matches(field) then
      redis.call('XADD', events, '*', unpack(kept))
      redis.call('XDEL', dead, id)
      -- The worker finds the letter of an event by it.
      if field['svix-id'] then redis.call('HDEL', dead .. ':letters', field['svix-id']) end
      moved = moved + 1
    end
    start = '(' .. id
  end
end
