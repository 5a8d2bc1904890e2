-- Drops the records of a room that hold a token that was refused, leaves a tombstone, and
-- returns now.
--
-- KEYS: the room. ARGV: the names of the keys; the token's digest; how long it would have
-- lived; how many in a row were refused.

bury(ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]))
local err = save()
if err then
  return redis.error_reply(err)
end
return {digits(now)}
