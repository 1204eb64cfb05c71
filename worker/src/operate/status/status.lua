#!lua flags=no-writes
-- Tells the status page what stands in one partition. No payload leaves Redis for it.
--   KEYS: events stream, retry set, hash of waiting entries, dead letters' stream
--   ARGV: consumer group, how many rows a list may have, how many bytes of entries may be read for a list
-- Returns how many events, retries and dead letters there are and for how many milliseconds the first event has
-- stood on the stream (-1 if there is none); consumers: name, entries held, milliseconds since the last sign of life; retries, the
-- next one first: svix-id, milliseconds until it is due, failed attempts, the object that it waits for, reason; dead
-- letters, the newest first: svix-id, reason, attempts, milliseconds since the failure. All are text.
local events, retry, waiting, dead = unpack(KEYS)
local group, rows, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function by_name(list)
  local value = {}
  for i = 1, #list, 2 do value[list[i]] = list[i + 1] end
  return value
end
local function whole(number) return string.format('%.0f', number) end
-- An entry that was added by hand may hold anything.
local function short(text) return string.sub(tostring(text or ''), 1, 400) end
local function since(id, at) return whole(math.max(0, now - (tonumber(at) or tonumber(string.match(id, '^%d+'))))) end

-- Not since it was received: one that comes back after hours of retries has not waited in the stream.
local first = redis.call('XRANGE', events, '-', '+', 'COUNT', 1)[1]
local age = first and since(first[1]) or '-1'

local consumers = {}
-- An error where no worker has ever been.
local info = redis.pcall('XINFO', 'CONSUMERS', events, group)
if not info.err then
  for _, consumer in ipairs(info) do
    local value = by_name(consumer)
    consumers[#consumers + 1] = { short(value.name), whole(value.pending), whole(value.idle) }
  end
end

local retries, left = {}, bytes
local due = redis.call('ZRANGE', retry, 0, rows - 1, 'WITHSCORES')
for i = 1, #due, 2 do
  left = left - redis.call('HSTRLEN', waiting, due[i])
  if left < 0 and i > 1 then break end
  local packed = redis.call('HGET', waiting, due[i])
  local is_packed, list = pcall(cmsgpack.unpack, packed or '')
  local value = is_packed and type(list) == 'table' and by_name(list) or {}
  local wait = whole(math.max(0, due[i + 1] - now))
  retries[#retries + 1] = { short(due[i]), wait, short(value.attempts), short(value.awaited), short(value.reason) }
end

local letters, last = {}, '+'
left = bytes
while #letters < rows and left > 0 do
  -- One at a time: each may hold 1 MiB, and nothing tells before.
  local letter = redis.call('XREVRANGE', dead, last, '-', 'COUNT', 1)[1]
  if not letter then break end
  local id, value = letter[1], by_name(letter[2])
  last = '(' .. id
  left = left - #(value.payload or '')
  letters[#letters + 1] =
    { short(value['svix-id']), short(value.reason), short(value.attempts), since(id, value['failed-at']) }
end

local counts = { redis.call('XLEN', events), redis.call('ZCARD', retry), redis.call('XLEN', dead) }
return { { whole(counts[1]), whole(counts[2]), whole(counts[3]), age }, consumers, retries, letters }
