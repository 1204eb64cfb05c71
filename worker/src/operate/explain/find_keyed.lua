#!lua flags=no-writes
-- Finds an event among those that wait for their next attempt and among the dead letters, by key.
--   KEYS: dead letters' stream, hash of dead letters' ids, retry set, hash of waiting entries
--   ARGV: svix-id
-- Returns what waits: milliseconds until it is due, failed attempts, reason, the object that it waits for; and the
-- letter: its id, reason, attempts, milliseconds since the failure. Either is empty where there is none.
local dead, letters, retry, entries = unpack(KEYS)
local svix_id = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function by_name(list)
  local value = {}
  for i = 1, #list, 2 do value[list[i]] = list[i + 1] end
  return value
end

local waiting, letter = {}, {}
local due, packed = redis.call('ZSCORE', retry, svix_id), redis.call('HGET', entries, svix_id)
if due and packed then
  -- An entry that was written by hand may hold anything.
  local is_packed, list = pcall(cmsgpack.unpack, packed)
  local value = is_packed and type(list) == 'table' and by_name(list) or {}
  waiting = {
    string.format('%.0f', math.max(0, due - now)), tostring(value.attempts or ''), tostring(value.reason or ''),
    tostring(value.awaited or ''),
  }
end
local id = redis.call('HGET', letters, svix_id)
local found = id and redis.call('XRANGE', dead, id, id)[1]
if found then
  local value = by_name(found[2])
  local failed_at = tonumber(value['failed-at']) or tonumber(string.match(id, '^%d+'))
  letter = { id, value.reason or '', value.attempts or '', string.format('%.0f', math.max(0, now - failed_at)) }
end
return { waiting, letter }
