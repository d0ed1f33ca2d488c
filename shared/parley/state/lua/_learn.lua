--#include models
-- What the end of a lease (or of a renewal) tells about its credential and its upstream.
-- outcome: ok | aborted or unused (nothing was learned) | failed.  blame, for failed: credential | model (the credential,
-- for that model alone) | upstream | nobody.
-- A failure of the credential without a rest means that its sign-in ran out: it waits for a renewal, it does not rest.
local function learn(id, lease, generation, outcome, blame, base, longest, hint, patience, reason, model)
  local record = key('cred', id)
  local known = redis.call('HMGET', record, 'generation', 'probe', 'until', 'models')
  if known[1] then
    if outcome == 'ok' then
      redis.call('HINCRBY', record, 'served', 1)
      redis.call('HSET', record, 'last_ok', now)
      if known[3] then recover(record) end
      if known[4] and model ~= '' then recover(key('models', id), suffix(model)) end
    elseif outcome == 'failed' and (blame == 'credential' or blame == 'model') then
      redis.call('HINCRBY', record, 'failed', 1)
      redis.call('HSET', record, 'last_failed', now, 'last_failure', reason)
      if blame == 'model' then
        send_model_to_rest(id, model, base, longest, hint, reason)
      elseif base > 0 then
        send_to_rest(record, base, longest, hint, reason)
      elseif known[1] == generation then
        redis.call('HSET', record, 'state', 'expired')
      end
    end
    if known[2] and known[2] == lease then redis.call('HDEL', record, 'probe') end
    if known[4] and model ~= '' and redis.call('HGET', key('models', id), 'probe:' .. model) == lease then
      redis.call('HDEL', key('models', id), 'probe:' .. model)
    end
  end

  local upstream = key('rest')
  local rest = redis.call('HMGET', upstream, 'until', 'misses', 'probe')
  if outcome == 'failed' and blame == 'upstream' and base > 0 then
    local misses = redis.call('HINCRBY', upstream, 'misses', 1)
    local over = tonumber(rest[1] or 0)
    if misses >= patience or over > 0 then over = send_to_rest(upstream, base, longest, hint, reason) end
    redis.call('PEXPIREAT', upstream, math.max(over, now) + 3600000)
  elseif rest[1] or rest[2] then
    if outcome == 'ok' or (outcome == 'failed' and blame ~= 'upstream') then
      if tonumber(rest[1] or 0) <= now then redis.call('DEL', upstream) end
    elseif rest[3] == id .. ':' .. lease then
      redis.call('HDEL', upstream, 'probe')
    end
  end
end
