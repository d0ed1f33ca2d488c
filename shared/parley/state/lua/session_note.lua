-- A session was opened for one lease. If that ended meanwhile, the session is to be closed at once.
-- ARGV  1 lease  2 credential  3 CREDENTIAL:EPOCH:SESSION
--#include start
--#include doom
if runs(ARGV[2], ARGV[1]) then
  redis.call('HSET', key('lent'), ARGV[1], ARGV[3])
  redis.call('PEXPIRE', key('lent'), DAY)
  return 1
end
condemn(ARGV[3], now)
return 0
