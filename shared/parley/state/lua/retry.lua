-- The budget for retries: tokens that drift back to the floor, whether they were saved or are missing.
-- KEYS  1 budget   ARGV  1 what the asking process puts in  2 what it takes (0 or 1)  3 floor  4 memory
-- Reply 1 taken (or nothing was wanted), 0 there is none
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local floor, memory = tonumber(ARGV[3]), tonumber(ARGV[4])
local known = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = floor
if known[1] then tokens = floor + (tonumber(known[1]) - floor) * math.exp((tonumber(known[2]) - now) / memory) end
tokens = tokens + tonumber(ARGV[1])
local wanted = tonumber(ARGV[2])
local taken = tokens >= wanted and 1 or 0
if taken == 1 then tokens = tokens - wanted end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', tokens), 'at', now)
redis.call('PEXPIRE', KEYS[1], memory * 20)
return taken
