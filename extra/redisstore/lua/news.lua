-- What the scripts of the news share. The log is a stream, KEYS[1]; its entries have the
-- fields room, token (the digest), ends and row (refusals in a row), in this order. The
-- hold is a hash, KEYS[2], with until (its end, which is also its ID), wait, over, and the
-- kind, count and text of a failure. Both are in one slot of a cluster.

-- How many entries the log has, at most.
local MAX_LOG = 10000

-- For how long the log is kept after its last entry, and an entry at least unless there are
-- too many, in milliseconds.
local LOG_LIFE = 10 * 60 * 1000

-- add_to_log adds an entry and cuts the log. It returns the entry's ID, or what went wrong.
local function add_to_log(cut, threshold, ...)
  local added = redis.pcall('XADD', KEYS[1], cut, threshold, '*', ...)
  if problem(added) and string.sub(problem(added), 1, 9) == 'WRONGTYPE' then
    redis.pcall('DEL', KEYS[1])
    added = redis.pcall('XADD', KEYS[1], cut, threshold, '*', ...)
  end
  if not problem(added) then
    redis.call('PEXPIRE', KEYS[1], LOG_LIFE)
  end
  return added
end

-- present returns the end of a hold and how long it was to last, nothing if it is none.
local function present(hold)
  local ends, asked = number(hold['until']), number(hold.wait)
  if ends and asked and asked <= DAY and ends - now <= asked then
    return ends, asked
  end
end
