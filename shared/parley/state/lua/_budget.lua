--#include period
-- What was spent: a hash of UNIT:PERIOD -> NUMBER OF THE PERIOD:AMOUNT, which goes away with the longest period in it;
-- and for all time, in a hash that stays, UNIT -> AMOUNT. Returns nothing where nothing was spent.
local function spent(id, unit, kind, number)
  if kind == 'total' then return tonumber(redis.call('HGET', key('total', id), unit) or nil) end
  local of, amount = string.match(redis.call('HGET', key('spent', id), unit .. ':' .. kind) or '', '^(%d+):(%d+)$')
  if tonumber(of) == number then return tonumber(amount) end
end

local function write_spent(id, unit, kind, number, amount)
  if kind == 'total' then
    redis.call('HSET', key('total', id), unit, string.format('%.0f', amount))
  else
    redis.call('HSET', key('spent', id), unit .. ':' .. kind, string.format('%.0f:%.0f', number, amount))
  end
end

-- What was spent in a period turned out to be more or less. If the period is over, nothing changes.
local function correct(id, unit, kind, number, much)
  local known = spent(id, unit, kind, number)
  if known then write_spent(id, unit, kind, number, math.max(known + much, 0)) end
end
