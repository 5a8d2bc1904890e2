-- Begins a hold, makes it longer, or ends it, and returns now. A hold that would end before
-- the present one changes nothing. With wait 0, the hold is over if its time has passed.
--
-- KEYS: the log, the hold. ARGV: for how long to wait; kind, count and text of the failure.

local wait = tonumber(ARGV[1])
local misplaced = wrong_type(redis.pcall('HGET', KEYS[2], 'until'))
local until_ = present(fields(KEYS[2], {'until', 'wait'})) or 0

local err
if wait > 0 and wait <= DAY and now + wait > until_ then
  if misplaced then
    err = problem(redis.pcall('DEL', KEYS[2]))
  end
  err = err or problem(redis.pcall('HSET', KEYS[2], 'until', digits(now + wait), 'wait', digits(wait), 'over', '0',
    'kind', ARGV[2], 'count', ARGV[3], 'text', ARGV[4]))
  err = err or problem(redis.pcall('PEXPIREAT', KEYS[2], digits(math.ceil((now + 2 * wait) / 1000) + LOG_LIFE)))
elseif wait == 0 and until_ > 0 and until_ <= now and redis.call('HGET', KEYS[2], 'over') ~= '1' then
  err = problem(redis.pcall('HSET', KEYS[2], 'over', '1'))
  err = err or problem(redis.pcall('PEXPIRE', KEYS[2], LOG_LIFE))
end
if err then
  return redis.error_reply(err)
end
return {digits(now)}
