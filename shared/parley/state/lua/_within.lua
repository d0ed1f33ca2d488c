-- The limits of an upstream's credentials, where `lease_take` is told of some: from ARGV[15] on, 15 what the keys of
-- limits start with, then a request as in `_scopes.lua`: the lease as its name, and as scopes first what counts for each
-- credential, its name to be completed by the credential's alias, then those that have limits of their own.
-- Whoever has none pays for nothing: all of this is inside of one block.
local within
if ARGV[15] then
  local record = key
  local function key(name, id) return ARGV[15] .. name .. (id and ':' .. id or '') end
--#include scopes
--#include room
  local request, windows, scopes = request_from(16)
  local each, own = table.remove(scopes, 1), {}
  for _, scope in ipairs(scopes) do own[scope.name] = scope end

  local function limited(scope)
    for _, window in ipairs(windows) do
      if scope[window.name].requests > 0 or scope[window.name].tokens > 0 then return true end
    end
    return scope.concurrency > 0 or #scope.budgets > 0
  end

  local function copy_of_each(name)
    local copy = { name = name, minute = each.minute, day = each.day, concurrency = each.concurrency, budgets = {} }
    for b, budget in ipairs(each.budgets) do
      copy.budgets[b] = { unit = budget.unit, period = budget.period, amount = budget.amount }
    end
    return copy
  end

  -- A place in the queue tells how much its caller wants: NAME/TOKENS/COST. Room is counted in requests as large as
  -- the largest of ours and those ahead, so that nobody is overtaken for ever by smaller ones.
  local largest
  local function largest_until(ahead)
    local size = { tokens = request.tokens, cost = request.cost }
    if ahead > 0 then
      for _, ticket in ipairs(redis.call('ZRANGE', record('queue'), 0, ahead - 1)) do
        local tokens, cost = string.match(ticket, '/(%d+)/(%d+)$')
        size.tokens, size.cost = math.max(size.tokens, tonumber(tokens or 0)), math.max(size.cost, tonumber(cost or 0))
      end
    end
    return size
  end

  within = {
    -- Whether there was such a lease, whose caller gave up before we came to it.
    known = function() return redis.call('EXISTS', key('open', request.id)) == 1 end,

    -- The scope of a credential, measured, and how many there is room for if so many are ahead; nothing if no limit.
    room = function(id, ahead)
      local alias = redis.call('HGET', record('cred', id), 'alias') or ''
      local scope = own[each.name .. alias] or copy_of_each(each.name .. alias)
      scope.alias = alias
      if not limited(scope) then return end
      measure(scope, windows, now)
      largest = largest or largest_until(ahead)
      return scope, fits(scope, windows, largest)
    end,

    -- Milliseconds until a scope has room for us (-1: never), as far as anybody knows; else how long at least, and true.
    wait = function(scope)
      local longest, unknown = 0, false
      each_refusal(scope, windows, request, function(wait)
        unknown = unknown or wait == 0
        if longest >= 0 and (wait < 0 or wait > longest) then longest = wait end
      end)
      return longest, unknown
    end,

    -- Counts the request for the scope; returns how full that is now.
    take = function(scope)
      take(request, { scope }, windows, now)
      return rows({ scope }, windows)[1]
    end,
  }
end
