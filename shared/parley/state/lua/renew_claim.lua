-- One at a time renews a credential: whoever gets the fence, until it is done or the lock runs out.
-- ARGV  1 credential  2 lock  3 the generation to be renewed (empty: only if it is new or expired)
-- Reply FENCE GENERATION EPOCH, or nothing: not needed, resting, or somebody is at it
--#include start
local record = key('cred', ARGV[1])
local known = redis.call('HMGET', record, 'state', 'until', 'renew_until', 'generation', 'epoch')
if not known[1] or tonumber(known[2] or 0) > now or tonumber(known[3] or 0) > now then return false end
if known[1] == 'ok' and known[4] ~= ARGV[3] then return false end
local fence = redis.call('HINCRBY', record, 'fence', 1)
redis.call('HSET', record, 'renew_until', now + tonumber(ARGV[2]))
return { fence, known[4], known[5] }
