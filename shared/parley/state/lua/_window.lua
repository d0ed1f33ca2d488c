-- A sliding window is one sorted set: an entry MOMENT:REQUESTS:TOKENS for each moment, scored by it, and the sums of all
-- entries as the scores of `requests` and `tokens`, below zero, so that sums and entries live and die together.
-- It is exact to the millisecond while there are fewer than `fine` requests in it. Beyond that, all that come within one
-- `cell` are put at the cell's end: room comes back up to a cell late, never early. So there are never more than
-- fine + length / cell + 1 entries, however much is admitted.
local function minute_of(length)
  return { name = 'minute', length = length, fine = 600, cell = math.max(math.floor(length / 600), 1) }
end
local WHOLE_DAY = { name = 'day', length = DAY, fine = 100, cell = 300000 }

local function parts(entry)
  local requests, tokens = string.match(entry, ':(%d+):(%d+)$')
  return tonumber(requests), tonumber(tokens)
end

local function written(moment, requests, tokens)
  return string.format('%.0f:%.0f:%.0f', moment, requests, tokens)
end

-- What is in the window, after what is over has left: the sums, and the newest moment with its entry.
local function used_of(window, id)
  local set = key(window.name, id)
  local used = { requests = 0, tokens = 0, newest = 0 }
  local first = redis.call('ZRANGE', set, 0, 2, 'WITHSCORES') -- both sums and the oldest entry
  if #first == 0 then return used end
  used[first[1]], used[first[3]] = -tonumber(first[2]), -tonumber(first[4])
  local over = now - window.length
  if first[6] and tonumber(first[6]) <= over then
    for _, entry in ipairs(redis.call('ZRANGEBYSCORE', set, '(0', over)) do
      local requests, tokens = parts(entry)
      used.requests, used.tokens = used.requests - requests, used.tokens - tokens
    end
    redis.call('ZREMRANGEBYSCORE', set, '(0', over)
    redis.call('ZADD', set, -used.requests, 'requests', -used.tokens, 'tokens')
  end
  local last = redis.call('ZREVRANGE', set, 0, 0, 'WITHSCORES')
  used.newest = math.max(tonumber(last[2]), 0)
  used.entry = last[1]
  return used
end

-- One request, and its tokens, of the moment `at`. Returns the moment that it counts at, or 0 if that is out of the
-- window by now.
local function enter(window, id, used, at, tokens)
  local set = key(window.name, id)
  local moment = at + 1 -- rounded up, compared rounded down: never early
  if used.requests >= window.fine then moment = (math.floor(at / window.cell) + 1) * window.cell end
  if moment + window.length <= now then return 0 end
  local entry, requests, others = nil, 0, 0
  if moment == used.newest then
    entry = used.entry
  elseif moment < used.newest then
    entry = redis.call('ZRANGEBYSCORE', set, moment, moment)[1]
  end
  if entry then
    requests, others = parts(entry)
    redis.call('ZREM', set, entry)
  end
  entry = written(moment, requests + 1, others + tokens)
  used.requests, used.tokens = used.requests + 1, used.tokens + tokens
  redis.call('ZADD', set, moment, entry, -used.requests, 'requests', -used.tokens, 'tokens')
  if moment >= used.newest then
    if math.floor(moment / 1000) > math.floor(used.newest / 1000) then -- once a second is often enough
      redis.call('PEXPIRE', set, window.length + window.cell + 2000)
    end
    used.newest, used.entry = moment, entry
  end
  return moment
end

-- What was entered at `moment` turned out to be more or less. If it has left the window, nothing changes.
local function change(window, id, moment, requests, tokens)
  local set = key(window.name, id)
  local entry = redis.call('ZRANGEBYSCORE', set, moment, moment)[1]
  if not entry then return end
  local r, t = parts(entry)
  local requests_now, tokens_now = math.max(r + requests, 0), math.max(t + tokens, 0)
  redis.call('ZREM', set, entry)
  if requests_now + tokens_now > 0 then
    redis.call('ZADD', set, moment, written(moment, requests_now, tokens_now))
  end
  if requests_now ~= r then redis.call('ZINCRBY', set, r - requests_now, 'requests') end
  if tokens_now ~= t then redis.call('ZINCRBY', set, t - tokens_now, 'tokens') end
end

-- Milliseconds until so much of `what` (1 requests, 2 tokens) has left.
local function until_left(window, id, what, much)
  local set, from, some = key(window.name, id), 2, 4 -- behind the two sums
  while true do
    local entries = redis.call('ZRANGE', set, from, from + some - 1, 'WITHSCORES')
    for i = 1, #entries, 2 do
      much = much - select(what, parts(entries[i]))
      if much <= 0 then return tonumber(entries[i + 1]) + window.length - now end
    end
    if #entries < 2 * some then return window.length end
    from, some = from + some, 100
  end
end
