-- A scope is no more, or begins anew: nothing of it is remembered.
-- ARGV  1 scope
-- Reply how many keys that were
--#include start
--#include changed
changed(ARGV[1], 1)
return redis.call('DEL', key('minute', ARGV[1]), key('day', ARGV[1]), key('held', ARGV[1]),
  key('spent', ARGV[1]), key('total', ARGV[1]))
