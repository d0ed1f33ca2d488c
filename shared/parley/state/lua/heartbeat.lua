-- A process is alive (or says goodbye).
-- KEYS  1 processes   ARGV  1 its name  2 silence after which a process counts as gone  3 leaving (1|0)
-- Reply the names of the living, in order
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
if ARGV[3] == '1' then
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('ZADD', KEYS[1], now, ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('PEXPIRE', KEYS[1], 60000)
local living = redis.call('ZRANGE', KEYS[1], 0, -1)
table.sort(living)
return living
