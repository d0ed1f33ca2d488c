-- A process says which leases it still uses. One that ran out meanwhile (it was cut off), or that was lent without us,
-- is held again, and so is its session, if that was not closed yet.
-- ARGV  1 life  then by threes: lease, credential, CREDENTIAL:EPOCH:SESSION or empty
-- Reply how many had to be revived
--#include start
local life, revived = tonumber(ARGV[1]), 0
for i = 2, #ARGV, 3 do
  local lease, held, session = ARGV[i], key('held', ARGV[i + 1]), ARGV[i + 2]
  if redis.call('ZADD', held, now + life, lease) == 1 then
    revived = revived + 1
    if session ~= '' and redis.call('ZREM', key('doomed'), session) == 1 then
      redis.call('HSET', key('lent'), lease, session)
    end
  end
  redis.call('PEXPIRE', held, DAY)
end
if revived > 0 then redis.call('HINCRBY', key('counts'), 'taken', revived) end
if redis.call('EXISTS', key('lent')) == 1 then redis.call('PEXPIRE', key('lent'), DAY) end
return revived
