-- A warm session joins the pool of its credential, if that is still the same account and configured.
-- ARGV  1 credential  2 epoch  3 session
-- Reply 1 ready, 0 to be closed
--#include start
--#include doom
local id, session = ARGV[1], ARGV[2] .. ':' .. ARGV[3]
if redis.call('HGET', key('cred', id), 'epoch') == ARGV[2] and redis.call('ZSCORE', key('ring'), id) then
  redis.call('ZADD', key('ready', id), now, session)
  redis.call('PEXPIRE', key('ready', id), DAY)
  return 1
end
condemn(id .. ':' .. session, now)
return 0
