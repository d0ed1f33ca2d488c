-- A process says which requests it still answers: their places are theirs for another while, also those that ran out
-- meanwhile.
-- ARGV  1 life of a place  2 life of a record  then the requests
-- Reply those that are not known
--#include start
--#include changed
local life, open, unknown = tonumber(ARGV[1]), tonumber(ARGV[2]), {}
for i = 3, #ARGV do
  local id = ARGV[i]
  local packed = redis.call('GET', key('open', id))
  if not packed or packed == '' then
    unknown[#unknown + 1] = id
  else
    redis.call('PEXPIRE', key('open', id), open)
    local record = cmsgpack.unpack(packed)
    for s = 3, #record do
      if record[s][3] > 0 then
        local held = key('held', record[s][1])
        if redis.call('ZADD', held, now + life, id) == 1 then changed(record[s][1], i) end
        redis.call('PEXPIRE', held, life + 1000)
      end
    end
  end
end
return unknown
