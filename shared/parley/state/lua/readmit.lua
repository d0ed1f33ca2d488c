-- A request that a process admitted by its share while we could not be reached, or that we forgot, counts after all.
-- ARGV  1 milliseconds ago  then as for admit
-- Reply 1, or 0 if it is known
--#include start
--#include scopes
local at = now - tonumber(ARGV[1])
local request, windows, scopes = request_from(2)
if redis.call('EXISTS', key('open', request.id)) == 1 then return 0 end
for _, scope in ipairs(scopes) do measure(scope, windows, at) end
take(request, scopes, windows, at)
return 1
