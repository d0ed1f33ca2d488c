-- Admits a request to all of its scopes, or to none: counts it and its tokens (the worst case, until `settle` knows
-- better), reserves its cost, and gives it a place among those at it.
-- ARGV  1 request  2 tokens  3 cost  4 life of a place  5 life of the record  6 a minute  then the scopes
-- Reply admitted ROWS
--       refused MS SCOPE LIMIT BUDGET ROWS    MS until there is room in all (-1: never, 0: unknown); SCOPE and LIMIT (and
--                                             which BUDGET) are what this takes longest for, counted from 0
--       known                                 there was such a request; nothing is done
--#include start
--#include scopes
local request, windows, scopes = request_from(1)
if redis.call('EXISTS', key('open', request.id)) == 1 then return { 'known' } end

local longest
local function refuse(wait, ...)
  if not longest or (longest[2] >= 0 and (wait < 0 or wait > longest[2])) then longest = { 'refused', wait, ... } end
end

for i, scope in ipairs(scopes) do
  measure(scope, windows, now)
  for _, window in ipairs(windows) do
    local used = scope.used[window.name]
    for what, name in ipairs({ 'requests', 'tokens' }) do
      local limit, wanted = scope[window.name][name], what == 1 and 1 or request.tokens
      if limit > 0 and used[name] + wanted > limit then
        local wait = wanted > limit and -1 or until_left(window, scope.name, what, used[name] + wanted - limit)
        refuse(wait, i - 1, name .. '_per_' .. window.name, 0)
      end
    end
  end
  if scope.concurrency > 0 and scope.held >= scope.concurrency then refuse(0, i - 1, 'concurrency', 0) end
  for b, budget in ipairs(scope.budgets) do
    local wanted = budget.unit == 'money' and request.cost or request.tokens
    if (budget.spent or 0) + wanted > budget.amount then
      local never = wanted > budget.amount or budget.period == 'total'
      refuse(never and -1 or budget.ends - now, i - 1, 'budget', b - 1)
    end
  end
end
if longest then
  longest[#longest + 1] = rows(scopes, windows)
  return longest
end
take(request, scopes, windows, now)
return { 'admitted', rows(scopes, windows) }
