#!lua flags=allow-oom
-- Tells which events are not, or no longer, a consumer's to apply.
--   KEYS: events stream, hash of waiting entries
--   ARGV: consumer group, consumer, pairs of svix-id and entry id; the id is empty for an event that waits
-- Returns their svix-ids: the entry has been taken over, or the event does not wait any more.
local events, entries = KEYS[1], KEYS[2]
local group, consumer = ARGV[1], ARGV[2]
local lost = {}
for i = 3, #ARGV, 2 do
  local svix_id, id = ARGV[i], ARGV[i + 1]
  local held
  if id == '' then
    held = redis.call('HEXISTS', entries, svix_id) == 1
  else
    held = #redis.call('XPENDING', events, group, id, id, 1, consumer) == 1
  end
  if not held then lost[#lost + 1] = svix_id end
end
return lost
