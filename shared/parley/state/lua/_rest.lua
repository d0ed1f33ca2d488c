-- Cooldowns, of a credential's record and of the upstream's alike: fields until, strikes, reason, probe; with `of` behind
-- their names where several are kept in one hash.
-- Resting while `until` is ahead; half-open once it is past, and one lease (the probe) finds out; healthy without it.

-- The blamed party rests. Strikes, which double the rest, only grow when it was not resting already. A hint is believed
-- below the base too, and up to `longest`.
local function send_to_rest(record, base, longest, hint, reason, of)
  of = of or ''
  local known = redis.call('HMGET', record, 'until' .. of, 'strikes' .. of)
  local before = tonumber(known[1] or 0)
  local strikes = tonumber(known[2] or 0)
  if before <= now then strikes = strikes + 1 end
  local rest = hint > 0 and hint or base * 2 ^ math.min(strikes - 1, 30)
  local over = math.floor(math.max(before, now + math.min(rest, longest)))
  redis.call('HSET', record, 'until' .. of, over, 'strikes' .. of, strikes, 'reason' .. of, reason)
  redis.call('HDEL', record, 'probe' .. of)
  return over
end

-- An answer shows that all is well again; a rest that is not over stays, since it is what the upstream asked for.
local function recover(record, of)
  of = of or ''
  local over = tonumber(redis.call('HGET', record, 'until' .. of) or 0)
  if over > 0 and over <= now then
    redis.call('HDEL', record, 'until' .. of, 'strikes' .. of, 'reason' .. of, 'probe' .. of)
  end
end
