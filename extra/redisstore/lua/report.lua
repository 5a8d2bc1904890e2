-- Adds a rejection to the log, and returns now.
--
-- KEYS: the log, the hold. ARGV: the room's ID; the token's digest; how long it would have
-- lived; how many in a row were refused.

local added = add_to_log('MAXLEN', MAX_LOG, 'room', ARGV[1], 'token', ARGV[2],
  'ends', digits(now + tonumber(ARGV[3])), 'row', ARGV[4])
if problem(added) then
  return redis.error_reply(problem(added))
end
return {digits(now)}
