#!lua flags=allow-oom
-- Puts events with the dead letters. Their entries stay pending until discard.lua: a worker that dies in
-- between leaves them to another one. Where there is no svix-id nothing tells a second letter from the first, so
-- such an entry goes in the same step.
--   KEYS: events stream, dead letters' stream, hash of dead letters' ids
--   ARGV: consumer group, consumer, then for each event: entry id, svix-id or nothing if it has no usable one,
--         reason, attempts
-- Returns the entry ids, but for those that the consumer does not hold any more: they have been taken over.
local events, dead, letters = KEYS[1], KEYS[2], KEYS[3]
local group, consumer = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local failed_at = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
local held = {}

-- Letters that were dropped or replayed leave their svix-ids behind. Two that are looked at for one that is added
-- keep those below half of all.
local function forget_dropped()
  local some = redis.call('HRANDFIELD', letters, 2, 'WITHVALUES')
  for i = 1, #some, 2 do
    if #redis.call('XRANGE', dead, some[i + 1], some[i + 1]) == 0 then redis.call('HDEL', letters, some[i]) end
  end
end

for i = 3, #ARGV, 4 do
  local id, svix_id, reason, attempts = unpack(ARGV, i, i + 3)
  if #redis.call('XPENDING', events, group, id, id, 1, consumer) > 0 then
    held[#held + 1] = id
    local entry = redis.call('XRANGE', events, id, id)[1]
    if entry then
      -- By name, because unpack takes some thousands of values at the most.
      local value = {}
      for j = 1, #entry[2], 2 do value[entry[2][j]] = entry[2][j + 1] end
      value['reason'] = reason
      value['attempts'] = attempts
      value['failed-at'] = failed_at
      -- It gets another id, and an entry that was added by hand may tell the time by nothing else.
      local received_at = string.match(value['received-at'] or '', '^%d+$')
      if not received_at or tonumber(received_at) >= 253402300800000 then
        value['received-at'] = string.match(id, '^%d+')
      end
      local letter = {}
      for _, name in ipairs({ 'svix-id', 'type', 'payload', 'received-at', 'traceparent', 'reason', 'attempts', 'failed-at' }) do
        if value[name] then
          letter[#letter + 1] = name
          letter[#letter + 1] = value[name]
        end
      end
      -- An event has one letter, however many copies of it fail. Somebody may have dropped it by hand.
      if redis.call('XLEN', dead) == 0 then redis.call('DEL', letters) end
      local known = svix_id ~= '' and redis.call('HGET', letters, svix_id)
      if not known or #redis.call('XRANGE', dead, known, known) == 0 then
        local letter_id = redis.call('XADD', dead, '*', unpack(letter))
        if svix_id ~= '' then
          redis.call('HSET', letters, svix_id, letter_id)
          forget_dropped()
        else
          redis.call('XDEL', events, id)
          redis.call('XACK', events, group, id)
        end
      end
    end
  end
end
return held
