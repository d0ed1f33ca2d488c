--#include rest
-- Rests of a credential for one model alone, while it is lent for its others: one hash for all of them, of the fields of
-- `_rest.lua`, each followed by the model. Whether there may be some is told by the field `models` of its record, so that
-- nobody asks for more who has none.
local KEPT = 3600000

local function suffix(model) return ':' .. model end

local function send_model_to_rest(id, model, base, longest, hint, reason)
  local rests = key('models', id)
  local last = send_to_rest(rests, base, longest, hint, reason, suffix(model))
  for _, field in ipairs(redis.call('HKEYS', rests)) do -- whoever names models must not fill this
    local other = string.match(field, '^until:(.*)$')
    local over = other and tonumber(redis.call('HGET', rests, field))
    if over and over + KEPT < now then
      redis.call('HDEL', rests, field, 'strikes:' .. other, 'reason:' .. other, 'probe:' .. other)
    elseif over then
      last = math.max(last, over)
    end
  end
  redis.call('PEXPIREAT', rests, last + KEPT)
  redis.call('HSET', key('cred', id), 'models', 1)
end

-- Until when it rests for the model, why, and who finds out; nothing where it does not.
local function rest_of_model(id, model)
  local told = redis.call('HMGET', key('models', id), 'until:' .. model, 'reason:' .. model, 'probe:' .. model)
  if not told[1] then
    if redis.call('EXISTS', key('models', id)) == 0 then redis.call('HDEL', key('cred', id), 'models') end
    return 0
  end
  return tonumber(told[1]), told[2], told[3]
end
