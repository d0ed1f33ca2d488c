--#include window
--#include budget
--#include changed
-- A request as ARGV tells it from `i` on: 1 its id  2 tokens  3 cost  4 life of a place  5 life of its record  6 a minute
-- then the scopes that it counts for, each: name, requests and tokens a minute, requests and tokens a day, concurrency,
-- how many budgets, and by threes unit, period, amount. A limit of 0 is none.
local function request_from(i)
  local function number(ahead) return tonumber(ARGV[i + ahead]) end
  local request = { id = ARGV[i], tokens = number(1), cost = number(2), life = number(3), open = number(4) }
  local windows, scopes = { minute_of(number(5)), WHOLE_DAY }, {}
  i = i + 6
  while ARGV[i] do
    local scope = {
      name = ARGV[i], concurrency = number(5), budgets = {},
      minute = { requests = number(1), tokens = number(2) }, day = { requests = number(3), tokens = number(4) },
    }
    for b = 1, number(6) do
      local at = i + 4 + 3 * b
      scope.budgets[b] = { unit = ARGV[at], period = ARGV[at + 1], amount = tonumber(ARGV[at + 2]) }
    end
    scopes[#scopes + 1] = scope
    i = i + 7 + 3 * #scope.budgets
  end
  return request, windows, scopes
end

-- Those who are at it now, after those who were not heard of in time have left.
local function running(id)
  local held = key('held', id)
  redis.call('ZREMRANGEBYSCORE', held, '-inf', now)
  return redis.call('ZCARD', held)
end

-- How full a scope is at the moment `at`: its `used`, `held`, and of each budget its period and what is `spent` in it.
local function measure(scope, windows, at)
  scope.used = {}
  for _, window in ipairs(windows) do
    local limits = scope[window.name]
    if limits.requests > 0 or limits.tokens > 0 then scope.used[window.name] = used_of(window, scope.name) end
  end
  scope.held = scope.concurrency > 0 and running(scope.name) or 0
  for _, budget in ipairs(scope.budgets) do
    budget.number, budget.ends = period(budget.period, at)
    budget.spent = spent(scope.name, budget.unit, budget.period, budget.number)
  end
end

-- Counts a request of the moment `at` for its scopes, and keeps a record of that, by which it can be corrected.
local function take(request, scopes, windows, at)
  local record = { request.tokens, request.cost }
  for i, scope in ipairs(scopes) do
    local moments, charged = {}, {}
    for w, window in ipairs(windows) do
      local used, limit = scope.used[window.name], scope[window.name].tokens
      moments[2 * w - 1] = used and enter(window, scope.name, used, at, limit > 0 and request.tokens or 0) or 0
      moments[2 * w] = limit -- without one, nobody wants to know of tokens
    end
    if scope.concurrency > 0 then
      local held = key('held', scope.name)
      redis.call('ZADD', held, now + request.life, request.id)
      redis.call('PEXPIRE', held, request.life + 1000)
      scope.held = scope.held + 1
    end
    for b, budget in ipairs(scope.budgets) do
      if budget.ends > now then
        local start = not budget.spent
        budget.spent = (budget.spent or 0) + (budget.unit == 'money' and request.cost or request.tokens)
        write_spent(scope.name, budget.unit, budget.period, budget.number, budget.spent)
        local hash = key('spent', scope.name)
        if start and budget.period ~= 'total' and redis.call('PTTL', hash) < budget.ends - now then
          redis.call('PEXPIREAT', hash, budget.ends)
        end
        charged[#charged + 1] = { budget.unit, budget.period, budget.number }
      end
    end
    record[i + 2] = { scope.name, moments, scope.concurrency, charged }
    changed(scope.name, i)
  end
  redis.call('SET', key('open', request.id), cmsgpack.pack(record), 'PX', request.open)
end

-- What a process is told of the scopes: of each, requests, tokens and the time until nothing is left, of the last minute
-- and of the last day; how many are at it; and of each budget the number of its period and what is spent.
local function rows(scopes, windows)
  local reply = {}
  for i, scope in ipairs(scopes) do
    local row = {}
    for _, window in ipairs(windows) do
      local used = scope.used[window.name]
      row[#row + 1] = used and used.requests or 0
      row[#row + 1] = used and used.tokens or 0
      row[#row + 1] = used and math.max(used.newest - 1 + window.length - now, 0) or 0
    end
    row[#row + 1] = scope.held
    for _, budget in ipairs(scope.budgets) do
      row[#row + 1] = budget.number
      row[#row + 1] = budget.spent or 0
    end
    reply[i] = row
  end
  return reply
end
