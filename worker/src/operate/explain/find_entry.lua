#!lua flags=no-writes
-- Looks for an event in a piece of a stream: nothing but reading tells where it is.
--   KEYS: stream
--   ARGV: svix-id, id to begin at, how many entries to look at
-- Returns how many it has looked at, fewer where they are large, where to go on, whether that is the end, and
-- of the entry, if it is there: its id, reason, attempts, milliseconds since it came or failed.
local stream = KEYS[1]
local svix_id, start, count = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local looked, bytes = 0, 0
while looked < count and bytes < 4 * 2 ^ 20 do
  -- Few at a time: each may hold 1 MiB.
  local entries = redis.call('XRANGE', stream, start, '+', 'COUNT', 4)
  for _, entry in ipairs(entries) do
    local id, list, value = entry[1], entry[2], {}
    for i = 1, #list, 2 do
      value[list[i]] = list[i + 1]
      bytes = bytes + #list[i + 1]
    end
    if value['svix-id'] == svix_id then
      local at = tonumber(value['failed-at']) or tonumber(value['received-at']) or tonumber(string.match(id, '^%d+'))
      local since = string.format('%.0f', math.max(0, now - at))
      return { looked, start, 0, { id, value.reason or '', value.attempts or '', since } }
    end
    looked = looked + 1
    start = '(' .. id
  end
  if #entries < 4 then return { looked, start, 1, {} } end
end
return { looked, start, 0, {} }
