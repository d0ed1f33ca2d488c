-- Sessions to be closed upstream now. They are out of sight for `claim`; who closed them says so (session_done), and
-- those that could not be closed come up again.
-- ARGV  1 most  2 claim
-- Reply CREDENTIAL:EPOCH:SESSION ...
--#include start
local due = redis.call('ZRANGEBYSCORE', key('doomed'), '-inf', now, 'LIMIT', 0, ARGV[1])
for _, session in ipairs(due) do redis.call('ZADD', key('doomed'), now + tonumber(ARGV[2]), session) end
return due
