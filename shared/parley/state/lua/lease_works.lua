-- The upstream began to answer a probe: others may be lent too, without waiting for the answer's end.
-- ARGV  1 lease  2 credential
--#include start
--#include rest
local lease, id = ARGV[1], ARGV[2]
if redis.call('HGET', key('cred', id), 'probe') == lease then recover(key('cred', id)) end
if redis.call('HGET', key('rest'), 'probe') == id .. ':' .. lease then redis.call('DEL', key('rest')) end
return 1
