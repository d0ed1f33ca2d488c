-- Sessions of a credential that grew too old in the pool are to be closed.
-- ARGV  1 credential  2 age
-- Reply how many
--#include start
--#include doom
local ready = key('ready', ARGV[1])
local stale = redis.call('ZRANGEBYSCORE', ready, '-inf', now - tonumber(ARGV[2]))
for _, session in ipairs(stale) do
  redis.call('ZREM', ready, session)
  condemn(ARGV[1] .. ':' .. session, now)
end
return #stale
