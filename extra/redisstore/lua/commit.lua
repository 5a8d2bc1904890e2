-- Ends a lease with its result, and returns now and one of
--
--   taken
--   refused, record   because of this record, or "" if because of a tombstone
--
-- KEYS: the room. ARGV: the names of the keys; the lease's ID; the version that it was given
-- on; "record", "failure" or "nothing"; what the names of inboxes begin with; the room's ID; of
-- a failure for how long it is in force, kind, count and text; the record.
--
-- With the lease in force, those who wait for it get a message: the length of the room's
-- ID, a colon, the room's ID, and the record if that is what the lease ended with.
--
-- The call may be repeated: a record that is there is taken again, unless another lease is
-- to end with it. If a result cannot be written, the lease ends all the same, if that can
-- be written.

local id, base, what, wait = ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[7])
local record = ARGV[11]
local version, digest = tonumber(string.sub(record, 1, 16)), string.sub(record, 33, HEAD)

local expiry = number(room.expiry)
local own = room.lease == id and expiry and expiry > now
local there, present, same = newest(room)
if not own and what == 'record' and present == version and same == digest then
  return {digits(now), 'taken'}
end

local newer = not own and present > base or what == 'record' and present >= version
local taken = not newer and not (what == 'record' and has_tombstone(digest))
local boxes = ''
if own then
  boxes = room.boxes or ''
  clear(LEASE)
end
if taken and what == 'record' then
  set(OWN[1], record)
  clear(FAILURE)
  clear({'streak'})
elseif taken and what == 'failure' and wait <= DAY then
  set('kind', ARGV[8])
  set('count', ARGV[9])
  set('text', ARGV[10])
  set('notbef', digits(now + wait))
  set('memory', digits(now + 2 * wait + MINUTE))
end

local err
if #changes > 0 or #gone > 0 then
  err = save()
end
local message = #ARGV[6] .. ':' .. ARGV[6]
if taken and not err and what == 'record' then
  message = message .. record
end
for at = 1, math.min(#boxes, 16 * MAX_BOXES), 16 do
  -- Users of Redis 7 have no channels unless they are given some.
  redis.pcall('PUBLISH', ARGV[5] .. string.sub(boxes, at, at + 15), message)
end
if err then
  return redis.error_reply(err)
end
if taken then
  return {digits(now), 'taken'}
end
return {digits(now), 'refused', newer and there or ''}
