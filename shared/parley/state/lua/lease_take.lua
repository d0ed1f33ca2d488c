-- Lends one credential of an upstream, and a warm session of it if asked for, or says why not yet or not at all.
-- The next is the usable credential whose last turn is longest ago (strict rotation); one whose rest is over is lent to
-- a single probe. One that rests for the model asked for is as good as resting; other models do not notice. A caller is
-- served only while there is room for everybody who came before. A credential that has limits of its own is usable while
-- there is room in them too, and the request is counted for them as it is lent.
--
-- ARGV  1 lease (and ticket)  2 its life  3 grace  4 concurrency  5 per window  6 window  7 patience
--       8 queue length  9 ticket's life  10 oldest session (0: none wanted)  11 renewal lock (0: cannot renew)
--       12 the record that its request was admitted (empty: none needed)  13 credentials to avoid, separated by commas
--       14 the model that is to be asked (empty: whichever)
--       15.. limits of the credentials, if they have any (`_within.lua`)
-- Reply lent ID GENERATION EPOCH PROBE SESSION    (SESSION may be empty); where it has limits also ALIAS, and how full
--       wait MS AHEAD                             ask again then; the ticket is in the queue
--       renew ID GENERATION EPOCH FENCE           renew this credential, then ask again; the ticket is in the queue
--       full MS WHY                               no place in the queue, or nothing in time (MS until then, or -1);
--                                                 WHY: queue, limits (pace, too), busy
--       resting MS REASON                         all rest or are dead (MS until the first comes back, or -1)
--       none                                      nothing is enrolled
--       never                                     the request is too large for the limits of each, or for what is left
--       refused                                   the request was not admitted, or is over; nothing is taken
--#include start
--#include lapse
--#include models
--#include within
if ARGV[12] ~= '' and redis.call('STRLEN', ARGV[12]) == 0 then return { 'refused' } end
if within and within.known() then return { 'refused' } end

local lease, life, grace = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local concurrency, per_window, window = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local renewal_lock, model = tonumber(ARGV[11]), ARGV[14]
local queue, alive = key('queue'), key('alive')
local FAR = 64 -- moments looked ahead per credential, at most

-- Who is ahead of us?
local waiting, ahead, queued = redis.call('ZCARD', queue), 0, false
if waiting > 0 then
  for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', alive, '-inf', now)) do
    redis.call('ZREM', queue, ticket)
    redis.call('ZREM', alive, ticket)
  end
  waiting = redis.call('ZCARD', queue)
  local rank = redis.call('ZRANK', queue, lease)
  queued, ahead = rank ~= false, rank or waiting
end

local function leave()
  if queued then
    redis.call('ZREM', queue, lease)
    redis.call('ZREM', alive, lease)
  end
end

local function join(ticket_life)
  if not queued then
    local last = redis.call('ZREVRANGE', queue, 0, 0, 'WITHSCORES')
    redis.call('ZADD', queue, (tonumber(last[2]) or 0) + 1, lease)
  end
  redis.call('ZADD', alive, now + ticket_life, lease)
  redis.call('PEXPIRE', queue, 120000)
  redis.call('PEXPIRE', alive, 120000)
end

-- Does the upstream itself rest?
local rest = redis.call('HMGET', key('rest'), 'until', 'reason', 'probe')
local rests = tonumber(rest[1] or 0)
if rests > now then
  leave()
  return { 'resting', rests - now, rest[2] }
end
local half_open = rests > 0
local probed = false
if half_open and rest[3] then
  local colon = string.find(rest[3], ':', 1, true)
  probed = runs(string.sub(rest[3], 1, colon - 1), string.sub(rest[3], colon + 1))
end

-- Whose turn is it, and how much room is there?
local avoid = {}
for id in string.gmatch(ARGV[13], '[^,]+') do avoid[id] = true end

local ring = redis.call('ZRANGE', key('ring'), 0, -1)
if #ring == 0 then return { 'none' } end

local chosen, last_resort, renewal   -- {id, generation, epoch, probe, scope of its limits, probe of the model}
local room, reach = 0, 0
local someday = probed               -- room will come, and nobody knows when
local paced = {}                     -- {id, turns left in this window, not before}: when room will come
local soonest, reason                -- of the rests
local limited = {}                   -- {scope, busy}: credentials that have limits of their own
local room_at                        -- not before this moment, where limits are all that is in the way

for _, id in ipairs(ring) do
  if probed then break end
  local known = redis.call('HMGET', key('cred', id),
    'state', 'until', 'probe', 'generation', 'epoch', 'renew_until', 'reason', 'models')
  local over, why = tonumber(known[2] or 0), known[7]
  local of_model, why_of_model, probe_of_model = 0, nil, nil
  if known[8] and model ~= '' then of_model, why_of_model, probe_of_model = rest_of_model(id, model) end
  local half_open_for_all = over > 0
  if of_model > now and of_model > over then over, why = of_model, why_of_model end
  if over > now then
    if not soonest or over < soonest then soonest, reason = over, why end
    if known[1] == 'ok' and per_window > 0 then paced[#paced + 1] = { id, per_window, over } end
  elseif known[1] ~= 'ok' then
    if tonumber(known[6] or 0) > now then
      someday, reach = true, reach + math.max(concurrency, 1)
    elseif known[1] and renewal_lock > 0 and not renewal then
      renewal = { id, known[4], known[5] }
    end
  else
    local left = math.huge
    if half_open_for_all or of_model > 0 then
      local probing = (half_open_for_all and known[3] and runs(id, known[3]))
        or (of_model > 0 and probe_of_model and runs(id, probe_of_model))
      left = probing and 0 or 1
    elseif concurrency > 0 then
      lapse(id, grace)
      left = concurrency - redis.call('ZCARD', key('held', id))
    end
    local busy, scope, fitting = left <= 0, nil, nil
    reach = reach + math.max(concurrency, 1)
    if per_window > 0 then
      local pace = key('pace', id)
      redis.call('ZREMRANGEBYSCORE', pace, '-inf', now - window)
      local quota = per_window - redis.call('ZCARD', pace)
      paced[#paced + 1] = { id, quota, now }
      left = math.min(left, quota)
    end
    if within then
      scope, fitting = within.room(id, ahead)
      left = math.min(left, fitting or left)
    end
    if left > 0 then
      room = room + left
      local candidate = { id, known[4], known[5], half_open_for_all, scope, of_model > 0 }
      if not avoid[id] then chosen = chosen or candidate else last_resort = last_resort or candidate end
      if room > ahead and chosen then break end
    end
    if scope then
      limited[#limited + 1] = { scope, busy }
    elseif busy or per_window == 0 then
      someday = true
    else
      room_at = now
    end
  end
end
if half_open then room = math.min(room, 1) end
chosen = chosen or last_resort

-- Our turn.
if chosen and room > ahead then
  leave()
  local id, probe = chosen[1], chosen[4]
  local held = key('held', id)
  redis.call('ZADD', held, now + life, lease)
  redis.call('PEXPIRE', held, DAY) -- not sooner: what ran out must still be found, for its session
  redis.call('ZADD', key('ring'), redis.call('HINCRBY', key('counts'), 'taken', 1), id)
  if per_window > 0 then
    redis.call('ZADD', key('pace', id), now + 1, lease) -- rounded up, compared rounded down: never early
    redis.call('PEXPIRE', key('pace', id), window + 1000)
  end
  local full = chosen[5] and within.take(chosen[5]) or nil
  if probe then redis.call('HSET', key('cred', id), 'probe', lease) end
  if chosen[6] then redis.call('HSET', key('models', id), 'probe:' .. model, lease) end
  if half_open then redis.call('HSET', key('rest'), 'probe', id .. ':' .. lease) end

  local session, oldest = '', tonumber(ARGV[10])
  if oldest > 0 then
    local ready, epoch = key('ready', id), chosen[3] .. ':'
    while session == '' do
      local next = redis.call('ZPOPMIN', ready)
      if #next == 0 then break end
      if string.sub(next[1], 1, #epoch) == epoch then -- those of an account that is gone are out of reach
        if tonumber(next[2]) + oldest > now then
          session = string.sub(next[1], #epoch + 1)
          redis.call('HSET', key('lent'), lease, id .. ':' .. next[1])
          redis.call('PEXPIRE', key('lent'), DAY)
        else
          condemn(id .. ':' .. next[1], now)
        end
      end
    end
  end
  return { 'lent', id, chosen[2], chosen[3], (probe or chosen[6] or half_open) and 1 or 0, session, full and chosen[5].alias, full }
end

-- Not yet: renew something, or wait, or give up.
if renewal then
  local record = key('cred', renewal[1])
  local fence = redis.call('HINCRBY', record, 'fence', 1)
  redis.call('HSET', record, 'renew_until', now + renewal_lock)
  join(renewal_lock)
  return { 'renew', renewal[1], renewal[2], renewal[3], fence }
end
local too_large = false
for _, of in ipairs(limited) do
  local wait, unknown = within.wait(of[1])
  if wait < 0 then
    too_large, reach = true, reach - math.max(concurrency, 1)
  elseif of[2] or unknown then
    someday = true
  else
    room_at = math.min(room_at or math.huge, now + wait)
  end
end
if not someday and reach == 0 then
  leave()
  if too_large and not soonest then return { 'never' } end
  return { 'resting', soonest and soonest - now or -1, reason or '' }
end

-- When pacing alone is in the way, the moment of our turn is known: of all turns to come, the one after those ahead.
local function moment_of_our_turn()
  local moments = {}
  for _, credential in ipairs(paced) do
    local id, quota, from = credential[1], math.max(credential[2], 0), credential[3]
    for _ = 1, math.min(quota, FAR) do moments[#moments + 1] = from end
    if from == now and quota < FAR then
      local stamps = redis.call('ZRANGE', key('pace', id), 0, FAR - 1 - quota, 'WITHSCORES')
      for i = 2, #stamps, 2 do moments[#moments + 1] = math.max(now, tonumber(stamps[i]) + window) end
    end
  end
  table.sort(moments)
  if ahead < #moments then return moments[ahead + 1] end
  if per_window > FAR then return moments[#moments] end -- not before, and perhaps later
  return moments[ahead % #moments + 1] + window * math.floor(ahead / #moments)
end

local patience = tonumber(ARGV[7])
local moment
if not someday then
  if within then moment = math.min(room_at or math.huge, soonest or math.huge) end
  if per_window > 0 then moment = math.max(moment or 0, moment_of_our_turn()) end
end
local late, crowded = moment and moment - now > patience, not queued and waiting >= tonumber(ARGV[8])
if patience <= 0 or late or crowded then
  leave()
  local why = moment and moment > now and 'limits' or crowded and 'queue' or 'busy'
  return { 'full', moment and math.max(moment - now, 1) or -1, why }
end
join(tonumber(ARGV[9]))
local pause = 50 * (1 + math.floor(ahead / math.max(reach, 1)))
if moment and moment > now then pause = moment - now end
return { 'wait', math.max(1, math.min(pause, 1000)), ahead }
