-- Takes the baton if nobody holds it, keeps it if we do, or drops it.
-- KEYS  1 baton   ARGV  1 who  2 for how long (0: drop it)
-- Reply 1 we hold it, 0 we do not
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
