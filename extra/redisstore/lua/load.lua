-- Returns the failure and the record of a room: now, for how long the failure is in force,
-- kind, count, text; version, digest, end, record. The version is 0 if there is no record.
--
-- KEYS: the room. Writes nothing.

local room = fields(KEYS[1], {'version', 'record', 'digest', 'ends', 'kind', 'count', 'text', 'notbef', 'memory'})
local left = failure(room)
local reply = {digits(now), digits(left), '0', '0', '', '0', '', '0', ''}
if left > 0 then
  reply[3], reply[4], reply[5] = room.kind, room.count, room.text
end
if version_of(room) > 0 then
  reply[6], reply[7], reply[8], reply[9] = room.version, room.digest, room.ends, room.record
end
return reply
