-- The upstream began to answer a probe: others may be lent too, without waiting for the answer's end.
-- ARGV  1 lease  2 credential  3 the model that it was lent for (empty: whichever)
--#include start
--#include models
local lease, id, rests = ARGV[1], ARGV[2], key('models', ARGV[2])
if redis.call('HGET', key('cred', id), 'probe') == lease then recover(key('cred', id)) end
if ARGV[3] ~= '' and redis.call('HGET', rests, 'probe:' .. ARGV[3]) == lease then recover(rests, suffix(ARGV[3])) end
if redis.call('HGET', key('rest'), 'probe') == id .. ':' .. lease then redis.call('DEL', key('rest')) end
return 1
