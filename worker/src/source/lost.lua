#!lua flags=allow-oom
-- Tells which events are not, or no longer, a consumer's to apply.
--   KEYS: events stream, hash of waiting entries
--   ARGV: consumer group, consumer, first and last of the entry ids, pairs of svix-id and entry id; the id is
--         empty for an event that waits
-- Returns their svix-ids: the entry has been taken over, or the event does not wait any more.
local events, entries = KEYS[1], KEYS[2]
local group, consumer, start, last = unpack(ARGV, 1, 4)
-- What the consumer holds between the first and the last, by pages: a question for each entry takes
-- several times as long.
local held = {}
local page
repeat
  page = redis.call('XPENDING', events, group, start, last, 1000, consumer)
  for _, entry in ipairs(page) do
    held[entry[1]] = true
    start = '(' .. entry[1]
  end
until #page < 1000
local lost = {}
for i = 5, #ARGV, 2 do
  local svix_id, id = ARGV[i], ARGV[i + 1]
  local ours = held[id]
  if id == '' then ours = redis.call('HEXISTS', entries, svix_id) == 1 end
  if not ours then lost[#lost + 1] = svix_id end
end
return lost
