-- A renewal succeeded: the new secret counts from now on, for everybody. A cooldown stays: renewing does not lift it.
-- ARGV  1 credential  2 fence  3 sealed parts  4 same account (1|0); 0: its sessions are out of reach
-- Reply GENERATION EPOCH, or nothing if somebody else holds the fence by now
--#include start
local id = ARGV[1]
local record = key('cred', id)
if redis.call('HGET', record, 'fence') ~= ARGV[2] then return false end
local generation = redis.call('HINCRBY', record, 'generation', 1)
local epoch = redis.call('HINCRBY', record, 'epoch', ARGV[4] == '1' and 0 or 1)
redis.call('HSET', record, 'sealed', ARGV[3], 'state', 'ok')
redis.call('HDEL', record, 'renew_until')
if ARGV[4] ~= '1' then redis.call('DEL', key('ready', id)) end
return { generation, epoch }
