-- What all scripts share; it stands in front of each.
--
-- A script measures all times itself, in microseconds of TIME, and returns numbers as
-- decimal digits. What stands in the store and is not as these scripts write it counts as
-- absent.

-- Numbers in the store are below 2^53: Lua, which has doubles only, is exact up to there.
local LIMIT = 9007199254740992

-- number returns a whole number below LIMIT, or nil.
local function number(text)
  if text and string.find(text, '^%d+$') then
    local n = tonumber(text)
    if n < LIMIT then
      return n
    end
  end
end

-- digits is the opposite: Lua itself would print 1.795e+15.
local function digits(n)
  return string.format('%.0f', n)
end

-- problem returns what a pcall says went wrong, or nil.
local function problem(reply)
  return type(reply) == 'table' and reply.err or nil
end

-- wrong_type reports whether a pcall failed because the key is not of the type that these
-- scripts give it. Such a key counts as absent; other problems of a read are raised.
local function wrong_type(reply)
  local err = problem(reply)
  if not err then
    return false
  end
  if string.sub(err, 1, 9) ~= 'WRONGTYPE' then
    error(reply)
  end
  return true
end

-- fields returns some fields of a hash.
local function fields(key, names)
  local values, found = redis.pcall('HMGET', key, unpack(names)), {}
  if not wrong_type(values) then
    for i, name in ipairs(names) do
      found[name] = values[i] or nil
    end
  end
  return found
end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

local MINUTE = 60 * 1000000
local DAY = 24 * 60 * MINUTE
