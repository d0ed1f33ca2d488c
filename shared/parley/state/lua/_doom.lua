-- A session is used once: when its lease ends it is to be closed upstream, not before `due`.
local function condemn(session, due)
  redis.call('ZADD', key('doomed'), due, session)
  redis.call('PEXPIRE', key('doomed'), DAY)
end

local function doom(lease, due)
  local session = redis.call('HGET', key('lent'), lease)
  if session then
    redis.call('HDEL', key('lent'), lease)
    condemn(session, due)
  end
end
