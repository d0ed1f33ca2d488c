-- Records of requests that ended; the newest are kept, and none for longer than its life.
-- KEYS  1 records   ARGV  1 how many are kept  2 their life  then the records
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local oldest = string.format('%.0f', now - tonumber(ARGV[2]))
for i = 3, #ARGV do redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'record', ARGV[i]) end
redis.call('XTRIM', KEYS[1], 'MINID', oldest)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
