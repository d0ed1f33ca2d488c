-- An admitted request is over: what was reserved for it gives way to what it took, once, and its place is free.
-- ARGV  1 request  2 tokens  3 cost  4 whether it counts as a request (1|0)  5 a minute
--       6 for how long to remember that it is over (0: its process knows that we know it)
-- Reply 1, or 0 if it is not known (any more)
--#include start
--#include window
--#include budget
--#include changed
local open = key('open', ARGV[1])
local packed = redis.call('GET', open)
if ARGV[6] == '0' then redis.call('DEL', open) else redis.call('SET', open, '', 'PX', ARGV[6]) end
if not packed or packed == '' then return 0 end

local record = cmsgpack.unpack(packed)
local requests, tokens, cost = tonumber(ARGV[4]) - 1, tonumber(ARGV[2]) - record[1], tonumber(ARGV[3]) - record[2]
local windows = { minute_of(tonumber(ARGV[5])), WHOLE_DAY }
for i = 3, #record do
  local id, moments, concurrency, charged = unpack(record[i])
  for w, window in ipairs(windows) do
    local moment, more = moments[2 * w - 1], moments[2 * w] > 0 and tokens or 0
    if moment > 0 and (more ~= 0 or requests ~= 0) then change(window, id, moment, requests, more) end
  end
  if concurrency > 0 then redis.call('ZREM', key('held', id), ARGV[1]) end
  for _, charge in ipairs(charged) do
    local much = charge[1] == 'money' and cost or tokens
    if much ~= 0 then correct(id, charge[1], charge[2], charge[3], much) end
  end
  changed(id, i)
end
return 1
