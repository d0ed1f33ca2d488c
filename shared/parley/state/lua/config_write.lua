-- A new revision of the changes, if nobody else wrote one meanwhile. The newest ones are kept.
-- ARGV  expected revision, its entry in the log, the sealed changes, how many to keep
-- Reply the new revision, or minus the revision that is in force (minus one for none)
local current = tonumber(redis.call('HGET', KEYS[1] .. 'now', 'revision') or 0)
if current ~= tonumber(ARGV[1]) then return -math.max(current, 1) end
local revision = current + 1
redis.call('HSET', KEYS[1] .. 'now', 'revision', revision, 'changes', ARGV[3])
redis.call('HSET', KEYS[1] .. 'past', revision, ARGV[3])
redis.call('HSET', KEYS[1] .. 'log', revision, ARGV[2])
local old = revision - tonumber(ARGV[4])
if old > 0 then
  redis.call('HDEL', KEYS[1] .. 'past', old)
  redis.call('HDEL', KEYS[1] .. 'log', old)
end
return revision
