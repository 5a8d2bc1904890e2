-- Returns the news since a cursor: now, the next cursor, "1" if entries were missed; of the
-- hold its ID, how long it was to last, how long it still lasts, "1" if it is over, kind,
-- count, text; the entries of the log as XRANGE returns them. The ID is empty if there is
-- no hold.
--
-- A cursor names the last entry that was read, and when: "entry/milliseconds". The entry
-- must still be the one before the news. Otherwise news was missed, unless the entry had its
-- time, and the reader was there all that time: then the log ended by itself.
--
-- KEYS: the log, the hold. ARGV: the cursor, "" to read all. Writes nothing.

local now_ms = math.floor(now / 1000)
local entry, ms, read = string.match(ARGV[1], '^((%d+)%-%d+)/(%d+)$')
ms, read = number(ms), number(read)

local function entries(from)
  local log = redis.pcall('XRANGE', KEYS[1], from, '+', 'COUNT', MAX_LOG + 1000)
  return wrong_type(log) and {} or log
end

local log, missed
if ms and read then
  log = entries(entry)
  if log[1] and log[1][1] == entry then
    table.remove(log, 1)
    missed = false
  else
    local had_its_time = ms + LOG_LIFE <= now_ms
    local was_there = read <= now_ms and now_ms - read < LOG_LIFE
    missed = not (had_its_time and was_there and #log < MAX_LOG)
  end
else
  missed = ARGV[1] ~= ''
end
if missed or not log then
  entry, log = '0-0', entries('-')
end
if #log > 0 then
  entry = log[#log][1]
end

local hold = {}
local names = {'until', 'wait', 'over', 'kind', 'count', 'text'}
local values = redis.pcall('HMGET', KEYS[2], unpack(names))
if not wrong_type(values) then
  for i, name in ipairs(names) do
    hold[name] = values[i] or nil
  end
end
local id, wait, left, over = '', 0, 0, '0'
local ends, asked = number(hold['until']), number(hold.wait)
if ends and asked and asked <= DAY and ends - now <= asked then
  id, wait, left, over = hold['until'], asked, math.max(ends - now, 0), hold.over
end
local kind, count, text = number(hold.kind), number(hold.count), hold.text or ''
if id == '' or not kind or not count or #text > MAX_TEXT then
  kind, count, text = 0, 0, ''
end
return {
  digits(now), entry .. '/' .. digits(now_ms), missed and '1' or '0',
  id, digits(wait), digits(left), over == '1' and '1' or '0', digits(kind), digits(count), text, log,
}
