-- Returns the news since a cursor: now, the next cursor, "1" if entries were missed; of the
-- hold its ID, how long it was to last, how long it still lasts, "1" if it is over, kind,
-- count, text; the entries of the log as XRANGE returns them. The ID is empty if there is
-- no hold.
--
-- A cursor is the ID of the last entry that was read. If the log does not have that entry
-- any more, entries were missed: the log was cut, or the server has lost it. So that there
-- is always one to name, this script adds an entry that says nothing when the last one is
-- old, and removes those that had their time. The log lives as long as it is read.
--
-- KEYS: the log, the hold. ARGV: the cursor, "" to read all.

local now_ms = math.floor(now / 1000)
local since = ARGV[1]

local function entries(from)
  local log = redis.pcall('XRANGE', KEYS[1], from, '+', 'COUNT', MAX_LOG)
  return wrong_type(log) and {} or log
end

local log, missed = nil, since ~= ''
local since_ms, since_seq = string.match(since, '^(%d+)%-(%d+)$')
if number(since_ms) and number(since_seq) then
  log = entries(since)
  missed = not log[1] or log[1][1] ~= since
end
if missed or not log then
  log = entries('-')
else
  table.remove(log, 1)
end

local last = #log > 0 and log[#log][1] or not missed and since or ''
local ms, seq = string.match(last, '^(%d+)%-(%d+)$')
ms = number(seq) and number(ms)
if last ~= '' and (not ms or ms > now_ms + DAY / 1000) then -- no server's clock has made it, and nothing could follow it
  redis.pcall('DEL', KEYS[1])
  log, last, ms = {}, '', nil
end
if not ms or ms + LOG_LIFE / 2 <= now_ms then
  local beat = add_to_log('MINID', digits(now_ms - LOG_LIFE), 'beat', '')
  last = problem(beat) and last or beat
end

local hold = fields(KEYS[2], {'until', 'wait', 'over', 'kind', 'count', 'text'})
local id, wait, left, over = '', 0, 0, '0'
local ends, asked = present(hold)
if ends then
  id, wait, left, over = hold['until'], asked, math.max(ends - now, 0), hold.over
end
local kind, count, text = number(hold.kind), number(hold.count), hold.text or ''
if id == '' or not kind or not count or #text > MAX_TEXT then
  kind, count, text = 0, 0, ''
end
return {
  digits(now), last, missed and '1' or '0',
  id, digits(wait), digits(left), over == '1' and '1' or '0', digits(kind), digits(count), text, log,
}
