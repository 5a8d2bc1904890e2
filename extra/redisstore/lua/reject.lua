-- Drops the record of a room if it holds a token that was refused, leaves a tombstone, and
-- returns now.
--
-- KEYS: the room. ARGV: the token's digest; how long it would have lived; how many in a row
-- were refused.

bury(ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]))
local err = save()
if err then
  return redis.error_reply(err)
end
return {digits(now)}
