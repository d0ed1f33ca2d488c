-- What was lent while a process could not reach us, or was forgotten by a server that lost its last moments, counts for
-- pacing too.
-- ARGV  1 window  then by threes: credential, lease, milliseconds ago
-- Reply how many were not known
--#include start
local window, unknown = tonumber(ARGV[1]), 0
for i = 2, #ARGV, 3 do
  local pace = key('pace', ARGV[i])
  unknown = unknown + redis.call('ZADD', pace, 'NX', now + 1 - tonumber(ARGV[i + 2]), ARGV[i + 1])
  redis.call('PEXPIRE', pace, window + 1000)
end
return unknown
