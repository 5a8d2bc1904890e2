-- Ends a lease with its result, and returns now and one of
--
--   taken
--   refused, version, digest, end, record   because of this record; the version is 0 if
--                                            because of a tombstone, or of a record that ended
--
-- KEYS: the room. ARGV: the lease's ID; the version that it was given on; "record",
-- "failure" or "nothing"; what the names of inboxes begin with; the room's ID; of a record
-- the version, the token's digest and the end; of a failure for how long it is in force,
-- kind, count and text; the sealed record.
--
-- With the lease in force, those who wait for it get a message: the length of the room's
-- ID, a colon, the room's ID, and the record if that is what the lease ended with.
--
-- The call may be repeated: a record that is there is taken again, unless another lease is
-- to end with it. If a result cannot be written, the lease ends all the same, if that can
-- be written.

local id, base, what = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local version, digest, ends = tonumber(ARGV[6]), ARGV[7], ARGV[8]
local wait, sealed = tonumber(ARGV[9]), ARGV[13]

local expiry = number(room.expiry)
local own = room.lease == id and expiry and expiry > now
local present = version_of(room)
if own and room.skip and room.skip == room.version then
  present = 0
end
if not own and what == 'record' and present == version and room.digest == digest then
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
  set('version', digits(version))
  set('record', sealed)
  set('digest', digest)
  set('ends', ends)
  clear(FAILURE)
  clear({'streak'})
elseif taken and what == 'failure' and wait <= DAY then
  set('kind', ARGV[10])
  set('count', ARGV[11])
  set('text', ARGV[12])
  set('notbef', digits(now + wait))
  set('memory', digits(now + 2 * wait + MINUTE))
end

local err
if #changes > 0 or #gone > 0 then
  err = save()
end
local message = #ARGV[5] .. ':' .. ARGV[5]
if taken and not err and what == 'record' then
  message = message .. sealed
end
for at = 1, math.min(#boxes, 16 * MAX_BOXES), 16 do
  -- Users of Redis 7 have no channels unless they are given some.
  redis.pcall('PUBLISH', ARGV[4] .. string.sub(boxes, at, at + 15), message)
end
if err then
  return redis.error_reply(err)
end
if taken then
  return {digits(now), 'taken'}
end
if newer then
  return {digits(now), 'refused', room.version, room.digest, room.ends, room.record}
end
return {digits(now), 'refused', '0', '', '0', ''}
