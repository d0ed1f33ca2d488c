-- Folds what was told of finished requests into the series; what was told before is not counted twice.
-- An entry of the inbox is MessagePack: { PROCESS, NUMBER, MOMENT in seconds, line, ... }, and a line
--   { { KIND, NAME, KIND, NAME, ... }, { FIELD, AMOUNT, FIELD, AMOUNT, ... } }: add these amounts to all of these subjects.
-- A series is a list of points, oldest first; a point is MessagePack: { SLOT, amount of field 1, of field 2, ... }, where
--   -N stands for N times nothing, and nothing at the end is left out. Field 1 is the number of requests.
-- ARGV  1 enough minutes of subjects for one call  2 fields of a point  then by twos: KIND, how many of its names have a series of their own
-- Reply how many entries are left
local prefix, enough, width = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local now = tonumber(redis.call('TIME')[1])
local room = {}
for i = 3, #ARGV, 2 do room[ARGV[i]] = tonumber(ARGV[i + 1]) end
local SPANS = {
  { name = 'minute', seconds = 60, kept = 1440 },
  { name = 'hour', seconds = 3600, kept = 744 },
  { name = 'day', seconds = 86400, kept = 366 },
}

local function at(name, ...)
  return prefix .. table.concat({ name, ... }, ':')
end

-- --- points

local function opened(raw)
  local point, n = {}, 0
  for _, amount in ipairs(cmsgpack.unpack(raw)) do
    if amount >= 0 then
      n = n + 1
      point[n] = amount
    else
      for i = n + 1, n - amount do point[i] = 0 end
      n = n - amount
    end
  end
  for i = n + 1, width + 1 do point[i] = 0 end
  return point
end

local function closed(point)
  local packed, n, nothing = {}, 0, 0
  for i = 1, #point do
    local amount = point[i]
    if amount == 0 then
      nothing = nothing + 1
    else
      if nothing > 0 then
        n = n + 1
        packed[n] = -nothing
        nothing = 0
      end
      n = n + 1
      packed[n] = amount
    end
  end
  return cmsgpack.pack(packed)
end

local function sum(point, added)
  for i, amount in pairs(added) do
    if i > 1 then point[i] = point[i] + amount end
  end
  return point
end

local function nothing_at(slot)
  local point = { slot }
  for i = 2, width + 1 do point[i] = 0 end
  return point
end

-- --- series

-- The last point that is not later than `slot`, where it is, and how it reads there; nothing if there is none.
local function not_later(series, slot)
  local before, after, known = -1, redis.call('LLEN', series) - 1, nil
  while after - before > 1 do
    local middle = math.floor((before + after) / 2)
    local raw = redis.call('LINDEX', series, middle)
    if cmsgpack.unpack(raw)[1] <= slot then before, known = middle, raw else after = middle end
  end
  return known and opened(known), before, known
end

-- Adds amounts to a series: nearly always to its last point, or behind that.
local function add(span, subject, slot, amounts)
  local series = at(span.name, subject)
  local place, raw = -1, redis.call('LINDEX', series, -1)
  local there, newest = raw and opened(raw), true
  if there and there[1] > slot then
    newest = false
    there, place, raw = not_later(series, slot)
  end
  if there and there[1] == slot then
    redis.call('LSET', series, place, closed(sum(there, amounts)))
    return
  end
  local packed = closed(sum(nothing_at(slot), amounts))
  if newest then
    redis.call('RPUSH', series, packed)
    local oldest = redis.call('LINDEX', series, 0)
    while cmsgpack.unpack(oldest)[1] <= slot - span.kept do
      redis.call('LPOP', series)
      oldest = redis.call('LINDEX', series, 0)
    end
    redis.call('EXPIREAT', series, math.max((slot + span.kept + 1) * span.seconds, now + span.seconds))
  elseif raw then
    redis.call('LINSERT', series, 'AFTER', raw, packed)
  else
    redis.call('LPUSH', series, packed)
  end
end

-- Whoever loses its place loses its series to those that have none: the sums stay right.
local function pour(subject, rest)
  for _, span in ipairs(SPANS) do
    local mine, theirs = redis.call('LRANGE', at(span.name, subject), 0, -1), at(span.name, rest)
    local whole = redis.call('LRANGE', theirs, 0, -1)
    local merged, i, j = {}, 1, 1
    while mine[i] or whole[j] do
      local a, b = mine[i] and opened(mine[i]), whole[j] and opened(whole[j])
      if a and b and a[1] == b[1] then
        merged[#merged + 1] = closed(sum(a, b))
        i, j = i + 1, j + 1
      elseif a and (not b or a[1] < b[1]) then
        merged[#merged + 1] = mine[i]
        i = i + 1
      else
        merged[#merged + 1] = whole[j]
        j = j + 1
      end
    end
    if #merged > 0 then
      local newest = cmsgpack.unpack(merged[#merged])[1]
      redis.call('DEL', at(span.name, subject), theirs)
      for from = 1, #merged, 1000 do
        redis.call('RPUSH', theirs, unpack(merged, from, math.min(from + 999, #merged)))
      end
      redis.call('EXPIREAT', theirs, math.max((newest + span.kept + 1) * span.seconds, now + span.seconds))
    end
  end
end

-- --- places: which names have a series of their own

-- A weight is the logarithm of requests, of which each counts half after a day. In these units older ones need no change
-- when time goes by: today's are worth more instead.
local function heavier(weight, requests, moment)
  local gained = moment / 86400 + math.log(requests) / math.log(2)
  if not weight then return gained end
  local high, low = math.max(weight, gained), math.min(weight, gained)
  return high + math.log(1 + 2 ^ (low - high)) / math.log(2)
end

local swapped = false

-- The subject that counts for this name: its own, or that of all names without a place, which has an empty name.
local function subject_of(kind, name, requests, moment)
  local own, rest = kind .. ':' .. name, kind .. ':'
  if name == '' then return rest end
  local placed, waiting = at('placed', kind), at('waiting', kind)
  local known = redis.call('ZSCORE', placed, name)
  if known or redis.call('ZCARD', placed) < room[kind] then
    redis.call('ZADD', placed, heavier(tonumber(known or nil), requests, moment), name)
    if not known then redis.call('ZREM', waiting, name) end
    return own
  end
  local weight = heavier(tonumber(redis.call('ZSCORE', waiting, name) or nil), requests, moment)
  local least = redis.call('ZRANGE', placed, 0, 0, 'WITHSCORES')
  -- Twice as much is asked for, so that two of a size do not take turns; and once per call, because pouring takes long.
  if not swapped and weight > tonumber(least[2]) + 1 then
    swapped = true
    pour(kind .. ':' .. least[1], rest)
    redis.call('ZREM', placed, least[1])
    redis.call('ZADD', placed, weight, name)
    redis.call('ZREM', waiting, name)
    redis.call('ZADD', waiting, least[2], least[1])
    return own
  end
  redis.call('ZADD', waiting, weight, name)
  redis.call('ZREMRANGEBYRANK', waiting, 0, -2 * room[kind] - 1)
  return rest
end

-- --- the fold: amounts are added up by subject and minute first

local last, sums, subjects, points = {}, {}, {}, 0

local function gather(kind, name, minute, amounts)
  local subject = kind .. ':' .. name
  local minutes = sums[subject]
  if not minutes then
    minutes = {}
    sums[subject] = minutes
    subjects[#subjects + 1] = { kind, name, minutes }
  end
  local point = minutes[minute]
  if not point then
    point = {}
    minutes[minute] = point
    points = points + 1
  end
  for i = 1, #amounts, 2 do
    local field = amounts[i] + 1
    point[field] = (point[field] or 0) + amounts[i + 1]
  end
end

local entries = 0
while points < enough and entries < enough do
  local raw = redis.call('LPOP', at('inbox'))
  if not raw then break end
  entries = entries + 1
  local entry = cmsgpack.unpack(raw)
  local process, number = entry[1], entry[2]
  local before = last[process] or tonumber(redis.call('GET', at('told', process)) or 0)
  if number > before then
    last[process] = number
    local minute = math.floor(math.min(entry[3], now) / 60) -- a clock that is fast makes no future
    for i = 4, #entry do
      local names, amounts = entry[i][1], entry[i][2]
      for j = 1, #names, 2 do gather(names[j], names[j + 1], minute, amounts) end
    end
  end
end
for process, number in pairs(last) do
  redis.call('SET', at('told', process), string.format('%.0f', number), 'EX', 86400)
end
for _, gathered in ipairs(subjects) do
  local kind, name, minutes = unpack(gathered)
  local order, requests = {}, 0
  for minute, point in pairs(minutes) do
    order[#order + 1] = minute
    requests = requests + point[2]
  end
  table.sort(order)
  local subject = subject_of(kind, name, math.max(requests, 1), order[#order] * 60)
  for _, minute in ipairs(order) do
    for _, span in ipairs(SPANS) do
      local slot = math.floor(minute * 60 / span.seconds)
      if slot > math.floor(now / span.seconds) - span.kept then add(span, subject, slot, minutes[minute]) end
    end
  end
end
return redis.call('LLEN', at('inbox'))
