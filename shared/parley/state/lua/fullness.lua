-- How full scopes are: those named, or those that changed after a moment, the longest ago first.
-- ARGV  1 a minute  2 after which moment (microseconds)  3 how many at most  then names, if any
-- Reply MS (now)  MOMENT (to go on from)  then of each { NAME, requests and tokens of the minute, of the day, AT IT, then by
--       threes UNIT:PERIOD, NUMBER OF THE PERIOD, SPENT }
--#include start
--#include window
local windows, since, names = { minute_of(tonumber(ARGV[1])), WHOLE_DAY }, tonumber(ARGV[2]), {}
for i = 4, #ARGV do names[#names + 1] = ARGV[i] end
if #names == 0 then
  local set, latest = key('changed'), clock[1] * 1000000 + clock[2]
  redis.call('ZREMRANGEBYSCORE', set, '-inf', latest - DAY * 1000)
  redis.call('PEXPIRE', set, DAY)
  since = math.min(since, latest) -- the clock may have been put back
  local found = redis.call('ZRANGEBYSCORE', set, '(' .. string.format('%.0f', since), '+inf',
    'WITHSCORES', 'LIMIT', 0, ARGV[3])
  for i = 1, #found, 2 do names[#names + 1], since = found[i], tonumber(found[i + 1]) end
end

local reply = { now, since }
for _, id in ipairs(names) do
  local row = { id }
  for _, window in ipairs(windows) do
    local used = used_of(window, id)
    row[#row + 1], row[#row + 2] = used.requests, used.tokens
  end
  redis.call('ZREMRANGEBYSCORE', key('held', id), '-inf', now)
  row[#row + 1] = redis.call('ZCARD', key('held', id))
  local spent = redis.call('HGETALL', key('spent', id))
  for i = 1, #spent, 2 do
    local number, amount = string.match(spent[i + 1], '^(%d+):(%d+)$')
    row[#row + 1], row[#row + 2], row[#row + 3] = spent[i], tonumber(number), tonumber(amount)
  end
  local total = redis.call('HGETALL', key('total', id))
  for i = 1, #total, 2 do
    row[#row + 1], row[#row + 2], row[#row + 3] = total[i] .. ':total', 0, tonumber(total[i + 1])
  end
  reply[#reply + 1] = row
end
return reply
