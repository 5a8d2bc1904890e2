-- A failure has the fields kind, count and text, notbef, until when it is in force, and
-- memory, until when it is remembered.

local FAILURE = {'kind', 'count', 'text', 'notbef', 'memory'}
local MAX_TEXT = 1024

-- failure returns for how long the failure among some fields is in force, and whether it
-- is remembered. One of more than a day is none.
local function failure(fields)
  local notbef, memory = number(fields.notbef), number(fields.memory)
  local kind, count, text = number(fields.kind), number(fields.count), fields.text
  if not (notbef and memory and kind and count and text) or #text > MAX_TEXT then
    return 0, false
  end
  if memory <= now or notbef - now > DAY or memory - now > 2 * DAY + MINUTE then
    return 0, false
  end
  return math.max(notbef - now, 0), true
end
