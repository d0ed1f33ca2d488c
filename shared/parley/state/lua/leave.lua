-- A caller does not wait any more.
-- ARGV  1 ticket
--#include start
redis.call('ZREM', key('alive'), ARGV[1])
return redis.call('ZREM', key('queue'), ARGV[1])
