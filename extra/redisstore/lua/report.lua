-- Adds a rejection to the log, and returns now.
--
-- KEYS: the log, the hold. ARGV: the room's ID; the token's digest; how long it would have
-- lived; how many in a row were refused.

local function add()
  return redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', MAX_LOG, '*', 'room', ARGV[1], 'token', ARGV[2],
    'ends', digits(now + tonumber(ARGV[3])), 'row', ARGV[4])
end
local added = add()
if problem(added) and string.sub(problem(added), 1, 9) == 'WRONGTYPE' then
  redis.pcall('DEL', KEYS[1])
  added = add()
end
local err = problem(added) or problem(redis.pcall('PEXPIRE', KEYS[1], LOG_LIFE))
if err then
  return redis.error_reply(err)
end
return {digits(now)}
