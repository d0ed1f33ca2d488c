-- An operator sends a credential, or the whole upstream, to rest, or ends its rest (and those for
-- single models), whatever that was for.
-- ARGV  1 credential (empty: the upstream)  2 how long (0: no longer)  3 reason
-- Reply 1, or 0 where there was nothing to end
--#include start
local id, rest = ARGV[1], tonumber(ARGV[2])
local record = id == '' and key('rest') or key('cred', id)
if rest == 0 then
  local rested = redis.call('HEXISTS', record, 'until')
  if id ~= '' then rested = math.max(rested, redis.call('DEL', key('models', id))) end
  redis.call('HDEL', record, 'until', 'strikes', 'reason', 'probe', 'misses')
  return rested
end
redis.call('HSET', record, 'until', now + rest, 'reason', ARGV[3])
redis.call('HDEL', record, 'probe')
if id == '' then redis.call('PEXPIREAT', record, now + rest + 3600000) end
return 1
