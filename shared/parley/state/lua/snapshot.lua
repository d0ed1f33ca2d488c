-- How an upstream stands. Ends leases that nobody renewed.
-- ARGV  1 grace  2 window
-- Reply { NOW, WAITING, DOOMED, TAKEN, RETURNED, EXPIRED, LATE, REST UNTIL, REST REASON }, then for each credential:
--       { ID, ALIAS, GUEST, STATE, GENERATION, EPOCH, UNTIL, REASON, STRIKES, RENEWING UNTIL, HELD, PACED, READY,
--         SERVED, LAST OK, FAILED, LAST FAILED, LAST FAILURE, RESTS FOR MODELS (the fields of that hash, flat) }
--#include start
--#include lapse
local grace, window = tonumber(ARGV[1]), tonumber(ARGV[2])
for _, ticket in ipairs(redis.call('ZRANGEBYSCORE', key('alive'), '-inf', now)) do
  redis.call('ZREM', key('queue'), ticket)
  redis.call('ZREM', key('alive'), ticket)
end
local reply = { {} }
for _, id in ipairs(redis.call('ZRANGE', key('ring'), 0, -1)) do
  lapse(id, grace)
  local c = redis.call('HMGET', key('cred', id), 'alias', 'guest', 'state', 'generation', 'epoch', 'until', 'reason',
    'strikes', 'renew_until', 'served', 'last_ok', 'failed', 'last_failed', 'last_failure', 'models')
  reply[#reply + 1] = {
    id, c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9],
    redis.call('ZCARD', key('held', id)),
    redis.call('ZCOUNT', key('pace', id), '(' .. string.format('%.0f', now - window), '+inf'),
    redis.call('ZCARD', key('ready', id)),
    c[10], c[11], c[12], c[13], c[14],
    c[15] and redis.call('HGETALL', key('models', id)) or {},
  }
end
local counts = redis.call('HMGET', key('counts'), 'taken', 'returned', 'expired', 'late')
local rest = redis.call('HMGET', key('rest'), 'until', 'reason')
reply[1] = {
  now, redis.call('ZCARD', key('queue')), redis.call('ZCARD', key('doomed')),
  counts[1], counts[2], counts[3], counts[4], rest[1], rest[2],
}
return reply
