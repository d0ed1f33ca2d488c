-- The next turn of a route.
-- KEYS  1 counter   ARGV  1 its life when nobody asks  2 the record of an admission, without which no turn is taken
-- Reply 1, 2, 3, ...
if ARGV[2] ~= '' and redis.call('EXISTS', ARGV[2]) == 0 then return 1 end
local turn = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return turn
