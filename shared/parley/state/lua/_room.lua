-- How many requests of this size (tokens, cost) there is room for in a scope that was measured.
local function fits(scope, windows, size)
  local most = math.huge
  local function bound(limit, used, wanted)
    if used + wanted > limit then
      most = 0
    elseif wanted > 0 then
      most = math.min(most, math.floor((limit - used) / wanted))
    end
  end
  for _, window in ipairs(windows) do
    local limits, used = scope[window.name], scope.used[window.name]
    if limits.requests > 0 then bound(limits.requests, used.requests, 1) end
    if limits.tokens > 0 then bound(limits.tokens, used.tokens, size.tokens) end
  end
  if scope.concurrency > 0 then bound(scope.concurrency, scope.held, 1) end
  for _, budget in ipairs(scope.budgets) do
    bound(budget.amount, budget.spent or 0, budget.unit == 'money' and size.cost or size.tokens)
  end
  return most
end

-- Calls refuse(MS, LIMIT, BUDGET) for each limit of a measured scope that has no room for the request, with the time
-- until it has (-1: never, 0: nobody knows).
local function each_refusal(scope, windows, request, refuse)
  for _, window in ipairs(windows) do
    local used = scope.used[window.name]
    for what, name in ipairs({ 'requests', 'tokens' }) do
      local limit, wanted = scope[window.name][name], what == 1 and 1 or request.tokens
      if limit > 0 and used[name] + wanted > limit then
        local wait = wanted > limit and -1 or until_left(window, scope.name, what, used[name] + wanted - limit)
        refuse(wait, name .. '_per_' .. window.name, 0)
      end
    end
  end
  if scope.concurrency > 0 and scope.held >= scope.concurrency then refuse(0, 'concurrency', 0) end
  for b, budget in ipairs(scope.budgets) do
    local wanted = budget.unit == 'money' and request.cost or request.tokens
    if (budget.spent or 0) + wanted > budget.amount then
      local never = wanted > budget.amount or budget.period == 'total'
      refuse(never and -1 or budget.ends - now, 'budget', b - 1)
    end
  end
end
