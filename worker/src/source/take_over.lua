#!lua flags=allow-oom
-- Takes over entries that no consumer has shown interest in for a while. Not XAUTOCLAIM, because a worker
-- must never claim back what it is still working on and another has taken from it: what it knows of it is
-- older than what the other one has done.
--   KEYS: events stream
--   ARGV: consumer group, consumer, milliseconds without interest, id to begin at, how many at the most,
--         ids of the entries that the consumer is working on
-- Returns where to go on, "-" after the last one, and the entries. Those that are deleted are cleared.
local events = KEYS[1]
local group, consumer, idle, start, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local working = {}
for i = 6, #ARGV do working[ARGV[i]] = true end

local pending = redis.call('XPENDING', events, group, 'IDLE', idle, start, '+', count)
local ids = {}
for _, entry in ipairs(pending) do
  if not working[entry[1]] then ids[#ids + 1] = entry[1] end
end
local taken = {}
if #ids > 0 then taken = redis.call('XCLAIM', events, group, consumer, idle, unpack(ids)) end
if #pending < tonumber(count) then return { '-', taken } end
return { '(' .. pending[#pending][1], taken }
