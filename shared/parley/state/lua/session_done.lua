-- Sessions that are closed upstream.
-- ARGV  CREDENTIAL:EPOCH:SESSION ...
--#include start
for _, session in ipairs(ARGV) do redis.call('ZREM', key('doomed'), session) end
return #ARGV
