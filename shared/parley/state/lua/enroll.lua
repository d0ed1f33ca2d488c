-- The credentials of an upstream are those of the configuration, in its order. What is known of one is kept; one that
-- left is forgotten after a day, in which its sessions can still be closed.
-- ARGV  by sixes: id, alias, guest (1|0), sealed parts (empty for a guest's place), sealed route, and what a new one is:
--       ok | new | expired (as it is configured it opens nothing yet)
-- Reply how many are new
--#include start
--#include doom
local ring, member, new = key('ring'), {}, 0
for i = 1, #ARGV, 6 do
  local id, place = ARGV[i], (i - 1) / 6
  local record = key('cred', id)
  member[id] = true
  redis.call('HSET', record, 'alias', ARGV[i + 1], 'guest', ARGV[i + 2], 'route', ARGV[i + 4], 'place', place)
  redis.call('PERSIST', record)
  if redis.call('HSETNX', record, 'generation', 1) == 1 then
    new = new + 1
    redis.call('HSET', record, 'epoch', 1, 'state', ARGV[i + 5], 'sealed', ARGV[i + 3])
  end
  redis.call('ZADD', ring, 'NX', place - 1000000, id) -- one that never had a turn comes first, in the given order
end
for _, id in ipairs(redis.call('ZRANGE', ring, 0, -1)) do
  if not member[id] then
    redis.call('ZREM', ring, id)
    redis.call('PEXPIRE', key('cred', id), DAY)
    for _, session in ipairs(redis.call('ZRANGE', key('ready', id), 0, -1)) do condemn(id .. ':' .. session, now) end
    redis.call('DEL', key('ready', id))
  end
end
return new
