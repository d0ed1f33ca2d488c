-- A key from this address was wrong: counted, unless so many were in the last minute already.
-- ARGV  1 address  2 limit  3 a minute
-- Reply 0, or MS until another is counted
--#include start
--#include window
local window = minute_of(tonumber(ARGV[3]))
window.name = 'guesses'
local used = used_of(window, ARGV[1])
if used.requests >= tonumber(ARGV[2]) then
  return math.max(until_left(window, ARGV[1], 1, used.requests + 1 - tonumber(ARGV[2])), 1)
end
enter(window, ARGV[1], used, now, 0)
return 0
