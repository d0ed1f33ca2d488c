-- Admits a request to all of its scopes, or to none: counts it and its tokens (the worst case, until `settle` knows
-- better), reserves its cost, and gives it a place among those at it.
-- ARGV  1 request  2 tokens  3 cost  4 life of a place  5 life of the record  6 a minute  then the scopes
-- Reply admitted ROWS
--       refused MS SCOPE LIMIT BUDGET ROWS    MS until there is room in all (-1: never, 0: unknown); SCOPE and LIMIT (and
--                                             which BUDGET) are what this takes longest for, counted from 0
--       known                                 there was such a request; nothing is done
--#include start
--#include scopes
--#include room
local request, windows, scopes = request_from(1)
if redis.call('EXISTS', key('open', request.id)) == 1 then return { 'known' } end

local longest
for i, scope in ipairs(scopes) do
  measure(scope, windows, now)
  each_refusal(scope, windows, request, function(wait, limit, budget)
    if not longest or (longest[2] >= 0 and (wait < 0 or wait > longest[2])) then
      longest = { 'refused', wait, i - 1, limit, budget }
    end
  end)
end
if longest then
  longest[#longest + 1] = rows(scopes, windows)
  return longest
end
take(request, scopes, windows, now)
return { 'admitted', rows(scopes, windows) }
