-- Which scopes changed of late, by the microsecond, each change at one of its own: every process keeps itself informed
-- by this (fullness.lua).
local function changed(id, nth)
  local set = key('changed')
  local new = redis.call('ZADD', set, clock[1] * 1000000 + clock[2] + nth, id)
  if new == 1 then redis.call('PEXPIRE', set, DAY) end -- and whenever anybody looks
end
