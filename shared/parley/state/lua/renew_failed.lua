-- A renewal failed: whoever is to blame rests; the credential rests in any case, so that nobody tries again at once.
-- ARGV  1 credential  2 fence  3 outcome  4 blame  5 base  6 longest  7 hint  8 patience  9 reason
--       10 rest after a failed renewal (0: it was not tried to its end)  11 the longest such rest
-- Reply 1, or 0 if somebody else holds the fence by now
--#include start
--#include learn
local id = ARGV[1]
local record = key('cred', id)
if redis.call('HGET', record, 'fence') ~= ARGV[2] then return 0 end
redis.call('HDEL', record, 'renew_until')
learn(id, '', '', ARGV[3], ARGV[4],
  tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], '')
local rest = tonumber(ARGV[10])
if rest > 0 and (ARGV[4] ~= 'credential' or tonumber(ARGV[5]) == 0) then
  send_to_rest(record, rest, tonumber(ARGV[11]), 0, ARGV[9])
end
return 1
