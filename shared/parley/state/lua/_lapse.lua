--#include doom
-- Ends the leases of credential `id` that nobody renewed in time. Their sessions are closed a grace later, so that a
-- process that was only cut off from us can say that it still answers with one.
local function lapse(id, grace)
  local over = redis.call('ZRANGEBYSCORE', key('held', id), '-inf', now)
  for _, lease in ipairs(over) do
    doom(lease, now + grace)
    redis.call('ZREM', key('held', id), lease)
  end
  if #over > 0 then redis.call('HINCRBY', key('counts'), 'expired', #over) end
end
