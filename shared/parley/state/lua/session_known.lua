-- Every session of a credential that somebody answers for: ready, lent, or to be closed.
-- ARGV  1 credential
-- Reply EPOCH:SESSION ...
--#include start
local id, known = ARGV[1], {}
local function add(session) known[#known + 1] = session end
for _, session in ipairs(redis.call('ZRANGE', key('ready', id), 0, -1)) do add(session) end
local mine = id .. ':'
local function add_mine(session)
  if string.sub(session, 1, #mine) == mine then add(string.sub(session, #mine + 1)) end
end
for _, session in ipairs(redis.call('HVALS', key('lent'))) do add_mine(session) end
for _, session in ipairs(redis.call('ZRANGE', key('doomed'), 0, -1)) do add_mine(session) end
return known
