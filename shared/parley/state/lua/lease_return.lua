-- Takes a lease back, once; its session is to be closed upstream. What the answer told is learned in any case: a lease
-- that ran out before (a late one) is no reason to forget what the upstream said just now. One that nobody used (its
-- caller was gone before it was lent) does not count for pacing either.
--
-- ARGV  1 lease  2 credential  3 generation  4 outcome  5 blame  6 base  7 longest  8 hint  9 patience  10 reason
--       11 a secret that the upstream rolled under way, sealed (empty: none); kept if its credential is still that old
--       12 the model that it was lent for (empty: whichever)
-- Reply 1 returned, 0 late
--#include start
--#include doom
--#include learn
local lease, id, generation = ARGV[1], ARGV[2], ARGV[3]
local returned = redis.call('ZREM', key('held', id), lease)
redis.call('HINCRBY', key('counts'), returned == 1 and 'returned' or 'late', 1)
if ARGV[4] == 'unused' then redis.call('ZREM', key('pace', id), lease) end
doom(lease, now)
learn(id, lease, generation, ARGV[4], ARGV[5],
  tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[10], ARGV[12])
if ARGV[11] ~= '' and redis.call('HGET', key('cred', id), 'generation') == generation then
  redis.call('HSET', key('cred', id), 'sealed', ARGV[11], 'generation', generation + 1)
end
return returned
