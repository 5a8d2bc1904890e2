-- Asks for a room, and returns now, "1" if there is a record but none of the asker's, and one
-- of
--
--   record, the record                         if it is newer than the asker's
--   busy, for how long                         another ask has the lease
--   failure, for how long, kind, count, text   a failure is in force
--   lease, since when, on which version, refusals in a row, kind, count, text
--   degraded, why                              a lease could not be written
--   none                                       the asker only looks
--
-- KEYS: the room. ARGV: the names of the keys; the ask's ID; the version that the asker has;
-- the lease's duration; "1" to only look; "1" to disregard the failure; the inbox to tell when
-- the lease of another ends, or ""; the version of a record that the asker cannot read, or 0;
-- the digest of a token that was refused, or "", how long it would have lived, how many in a
-- row were refused. A duration of 0 is for a look that takes any lease for one. While the
-- newest record is the one that the asker cannot read, it has none; a lease removes them.
--
-- The same ID gets the same lease again, so the call may be repeated. It writes nothing if
-- it finds a record, unless a token was refused.

local id, newer, ttl = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local look, fresh, inbox, unreadable = ARGV[5] == '1', ARGV[6] == '1', ARGV[7], tonumber(ARGV[8])
local refused = ARGV[9]

if refused ~= '' then
  bury(refused, tonumber(ARGV[10]), tonumber(ARGV[11]))
end

local record, version = newest(room)
local foreign = '0'
if version == 0 then
  for _, other in pairs(records()) do
    if parse(other) > 0 then
      foreign = '1'
    end
  end
end

-- answer saves what has changed; that it may not work is no reason to answer nothing.
local function answer(...)
  if #changes > 0 or #gone > 0 then
    save()
  end
  return {digits(now), foreign, ...}
end

if version == unreadable then
  version = 0
end
if version > newer then
  return answer('record', record)
end

local expiry = number(room.expiry)
local held = room.lease and expiry and expiry > now and (ttl == 0 or expiry - now <= 10 * ttl)
if held and room.lease ~= id then
  local boxes = room.boxes or ''
  if inbox ~= '' then
    local known = #boxes >= 16 * MAX_BOXES
    for at = 1, #boxes, 16 do
      known = known or string.sub(boxes, at, at + 15) == inbox
    end
    if not known then
      set('boxes', boxes .. inbox)
    end
  end
  return answer('busy', digits(expiry - now))
end

local notbefore, remembered = failure(room)
local kind, count, text = '0', '0', ''
if remembered then
  kind, count, text = room.kind, room.count, room.text
end
local function lease()
  return 'lease', room.since, room.base, digits(number(room.streak) or 0), kind, count, text
end

if held and number(room.since) and number(room.base) and not look then
  return answer(lease())
end
if notbefore > 0 and not fresh then
  return answer('failure', digits(notbefore), kind, count, text)
end
if look then
  return answer('none')
end

set('lease', id)
set('expiry', digits(now + ttl))
set('since', digits(now))
set('base', digits(version))
if version == 0 then
  clear(OWN)
end
local err = save()
if err and string.sub(err, 1, 9) == 'READONLY ' then
  -- An error, so that the client leaves this connection: it may lead to a former master.
  return redis.error_reply('READONLY ' .. digits(now) .. ' ' .. string.sub(err, 10))
end
if err then
  return {digits(now), foreign, 'degraded', err}
end
return {digits(now), foreign, lease()}
