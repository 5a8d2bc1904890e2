-- Returns the failure and the record of a room: now, for how long the failure is in force,
-- kind, count, text; the record, or "".
--
-- KEYS: the room. ARGV: the names of the keys. Writes nothing.

local room = fields(KEYS[1], {'kind', 'count', 'text', 'notbef', 'memory', unpack(OWN)})
local left = failure(room)
local reply = {digits(now), digits(left), '0', '0', '', (newest(room))}
if left > 0 then
  reply[3], reply[4], reply[5] = room.kind, room.count, room.text
end
return reply
