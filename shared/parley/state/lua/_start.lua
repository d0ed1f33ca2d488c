-- Every script begins so: the prefix of one upstream's keys, and the moment in milliseconds on Redis' own clock.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local DAY = 86400000

local function key(name, id)
  if id then return KEYS[1] .. name .. ':' .. id end
  return KEYS[1] .. name
end

-- Whether `lease` on credential `id` is still held.
local function runs(id, lease)
  local deadline = redis.call('ZSCORE', key('held', id), lease)
  return deadline and tonumber(deadline) > now
end
