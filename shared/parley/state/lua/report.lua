-- What the keeper learned about a credential without a lease: that a call of its own failed, or that a probe found it
-- well. A probe ends only the rest that it was made for (a refusal); it says nothing about limits.
-- ARGV  1 credential  2 generation  3 outcome (well | failed)  4 blame  5 base  6 longest  7 hint  8 patience  9 reason
--       (well: 9 is the reason of the rest that it ends)
--#include start
--#include learn
local id = ARGV[1]
local record = key('cred', id)
if redis.call('EXISTS', record) == 0 then return 0 end
if ARGV[3] == 'well' then
  redis.call('HSET', record, 'last_ok', now)
  if redis.call('HGET', record, 'reason') == ARGV[9] then
    redis.call('HDEL', record, 'until', 'strikes', 'reason', 'probe')
  end
else
  learn(id, '', ARGV[2], ARGV[3], ARGV[4],
  tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], '')
end
return 1
