#!lua flags=allow-oom
-- Removes one event, or all events about one object, from those that wait for their next attempt and from the dead
-- letters. A person's events are found by the user's id. What is on the events stream stays there: it is being worked
-- on, or will be in a moment.
--
--   redis-cli --eval drop.lua '{clerk:0}:retry' '{clerk:0}:retry:entries' '{clerk:0}:retry:objects' \
--     '{clerk:0}:retry:awaited' '{clerk:0}:dead' '{clerk:0}:dead:letters' , ID [FROM]
--
-- ID is a svix-id or an id of Clerk's. Safe to repeat. Returns the svix-ids of what it has removed, which nothing else
-- records, and then how many there were. It looks at 10,000 entries a call, fewer where they are large, because Redis
-- does nothing else meanwhile. If there are more, the last line says how many, and FROM for the next call.
local retry, entries, objects, awaiting, dead, letters = unpack(KEYS)
local most, most_bytes = 10000, 64 * 2 ^ 20
-- What is removed is gone, so the keys must be the right ones, and of one partition.
local partition = string.match(retry or '', '^(.*:)retry$') or ''
for place, name in ipairs({ 'retry', 'retry:entries', 'retry:objects', 'retry:awaited', 'dead', 'dead:letters' }) do
  if KEYS[place] ~= partition .. name or #KEYS ~= 6 then
    return redis.error_reply('ERR name six keys before the comma, all of one partition and in this order: ' ..
      'retry, retry:entries, retry:objects, retry:awaited, dead, dead:letters')
  end
end
local what = ARGV[1]
if not what or what == '' then
  return redis.error_reply('ERR say which after the comma: a svix-id or the id of an object')
end
local kept, position = string.match(ARGV[2] or '0/0', '^(%d+)/([%d-]+)$')
if not kept or #ARGV > 2 then
  return redis.error_reply('ERR name one id, and behind it nothing but what the call before ended with')
end

local dropped, dropped_letters, looked, bytes = {}, {}, 0, 0
local function is_enough() return looked >= most or bytes >= most_bytes end

-- What cjson reads may be anything.
local function of(value, name)
  if type(value) == 'table' then return value[name] end
end

local function is_about(payload)
  -- Most are not, and need not be read.
  if not string.find(payload, what, 1, true) then return false end
  local is_json, event = pcall(cjson.decode, payload)
  local data = is_json and of(event, 'data')
  -- Nothing tells what it is about.
  if type(data) ~= 'table' then return string.find(payload, '"' .. what .. '"', 1, true) ~= nil end
  return data.id == what or data.user_id == what or data.organization_id == what
    or of(data.public_user_data, 'user_id') == what or of(data.organization, 'id') == what
end

local function by_name(list)
  local value = {}
  for i = 1, #list, 2 do value[list[i]] = list[i + 1] end
  return value
end

local function look_at_waiting(svix_id, packed)
  looked, bytes = looked + 1, bytes + #packed
  -- An entry that was written by hand may hold anything.
  local is_packed, list = pcall(cmsgpack.unpack, packed)
  local value = is_packed and type(list) == 'table' and by_name(list) or {}
  if svix_id ~= what and not is_about(type(value.payload) == 'string' and value.payload or packed) then return end
  redis.call('HDEL', entries, svix_id)
  redis.call('ZREM', retry, svix_id)
  if value.object then redis.call('ZREM', objects, tostring(value.object) .. '\0' .. svix_id) end
  if value.awaited then redis.call('ZREM', awaiting, tostring(value.awaited) .. '\0' .. svix_id) end
  dropped[#dropped + 1] = svix_id
end

local function look_at_letter(id, list)
  local value = by_name(list)
  local svix_id, payload = value['svix-id'], value.payload or ''
  looked, bytes = looked + 1, bytes + #payload
  if svix_id ~= what and not is_about(payload) then return end
  redis.call('XDEL', dead, id)
  if svix_id and redis.call('HGET', letters, svix_id) == id then redis.call('HDEL', letters, svix_id) end
  dropped[#dropped + 1] = svix_id or id
  dropped_letters[#dropped_letters + 1] = id
end

-- XDEL only marks a letter: its bytes stay, in Redis' files too, until every letter of its node has gone. A node with more
-- than one has at most 100 and less than 4 KB (stream-node-max-bytes), so these letters are written anew at the end of the
-- stream. All are removed first, so that the node goes and gets none of them.
local function write_neighbours_anew(dropped_id)
  local near = {}
  for command, last in pairs({ XREVRANGE = '-', XRANGE = '+' }) do
    local id, size = dropped_id, 0
    for _ = 1, 100 do
      local letter = redis.call(command, dead, '(' .. id, last, 'COUNT', 1)[1]
      if not letter then break end
      id = letter[1]
      for i = 2, #letter[2], 2 do size = size + #letter[2][i] end
      if size >= 4096 then break end
      -- unpack takes some thousands of values at the most; such a letter is made only by hand.
      if #letter[2] < 1000 then table.insert(near, last == '+' and #near + 1 or 1, letter) end
    end
  end
  for _, letter in ipairs(near) do redis.call('XDEL', dead, letter[1]) end
  for _, letter in ipairs(near) do
    local id, list = letter[1], letter[2]
    local value = by_name(list)
    for _, name in ipairs({ 'received-at', 'failed-at' }) do
      -- A letter that was added by hand may tell the time by nothing but its id.
      if not value[name] then
        list[#list + 1] = name
        list[#list + 1] = string.match(id, '^%d+')
      end
    end
    local new_id, svix_id = redis.call('XADD', dead, '*', unpack(list)), value['svix-id']
    if svix_id and redis.call('HGET', letters, svix_id) == id then redis.call('HSET', letters, svix_id, new_id) end
  end
end

-- What waits may become a dead letter between two calls, but not the other way round: so it comes first. A position
-- with a hyphen is one among the dead letters.
if not string.find(position, '-', 1, true) then
  repeat
    -- Few at a time: each may hold 1 MiB.
    local found = redis.call('HSCAN', entries, position, 'COUNT', 10)
    position = found[1]
    for i = 1, #found[2], 2 do look_at_waiting(found[2][i], found[2][i + 1]) end
  until position == '0' or is_enough()
  if position == '0' then position = '0-0' end
end
local is_all = false
while string.find(position, '-', 1, true) and not is_all and not is_enough() do
  local found = redis.call('XRANGE', dead, '(' .. position, '+', 'COUNT', 4)
  for _, letter in ipairs(found) do
    position = letter[1]
    look_at_letter(letter[1], letter[2])
  end
  is_all = #found < 4
end
for _, id in ipairs(dropped_letters) do write_neighbours_anew(id) end

local told = string.format('%d dropped', #dropped)
if is_all then
  dropped[#dropped + 1] = told .. ', 0 left to look at'
else
  kept = kept + looked - #dropped
  local left = math.max(0, redis.call('HLEN', entries) + redis.call('XLEN', dead) - kept)
  dropped[#dropped + 1] = string.format('%s, %d left to look at: go on from %.0f/%s', told, left, kept, position)
end
return dropped
