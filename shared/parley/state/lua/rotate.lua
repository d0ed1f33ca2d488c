-- The next turn of a route.
-- KEYS  1 counter   ARGV  1 its life when nobody asks
-- Reply 1, 2, 3, ...
local turn = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return turn
