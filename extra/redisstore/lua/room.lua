-- What the scripts of a room share. A room is a hash with these fields; names of at most
-- six characters take the least memory.
--
--   record...                      the records, one for each key, see record.lua
--   lease expiry since base        the lease: its ID, until when, since when, on which version
--   kind count text notbef memory  the failure, see failure.lua
--   streak                         how many tokens in a row were refused, while there is no record
--   tombs                          tombstones: 16 bytes digest, 16 digits end, each
--   boxes                          the inboxes of those who wait, 16 characters each
--
-- All but the records belongs to everybody, whatever keys they have. The hash ends with the
-- last of what it holds.

local LEASE = {'lease', 'expiry', 'since', 'base', 'boxes'}
local MAX_TOMBS = 16
local MAX_BOXES = 256
local MAX_GONE = 1000 -- what is removed at a time; the rest is next

-- The room as it is now. What set and clear change, save writes.
local room, changes, gone = {}, {}, {}
local all = redis.pcall('HGETALL', KEYS[1])
local misplaced = wrong_type(all)
if not misplaced then
  for i = 1, #all, 2 do
    room[all[i]] = all[i + 1]
  end
end

local function set(name, value)
  room[name] = value
  changes[#changes + 1] = name
  changes[#changes + 1] = value
end

local function clear(names)
  for _, name in ipairs(names) do
    if room[name] then
      room[name] = nil
      gone[#gone + 1] = name
    end
  end
end

-- records returns all records, whoever has the keys, by the names of their fields.
local function records()
  local found = {}
  for name, value in pairs(room) do
    if string.sub(name, 1, 6) == 'record' then
      found[name] = value
    end
  end
  return found
end

-- tombstones returns those that have not ended, oldest first.
local function tombstones()
  local list, text = {}, room.tombs or ''
  if #text <= 32 * MAX_TOMBS then
    for at = 1, #text - 31, 32 do
      local ends = number(string.sub(text, at + 16, at + 31))
      if ends and ends > now then
        list[#list + 1] = {digest = string.sub(text, at, at + 15), ends = ends}
      end
    end
  end
  return list
end

-- has_tombstone reports whether a token was refused.
local function has_tombstone(digest)
  for _, tomb in ipairs(tombstones()) do
    if tomb.digest == digest then
      return true
    end
  end
  return false
end

-- bury drops the records that hold a token, whoever has the keys, and leaves a tombstone.
local function bury(digest, left, refusals)
  local _, present, newest_digest = newest(room)
  if present > 0 and newest_digest == digest then
    clear(OWN) -- what is older under another key must not come back
  end
  for name, record in pairs(records()) do
    if string.sub(record, 33, HEAD) == digest then
      clear({name})
    end
  end
  local list, mine = tombstones(), nil
  for _, tomb in ipairs(list) do
    if tomb.digest == digest then
      mine = tomb
    end
  end
  if not mine then
    mine = {digest = digest, ends = 0}
    list[#list + 1] = mine
  end
  mine.ends = math.max(mine.ends, now + left)
  local text = ''
  for i = math.max(#list - MAX_TOMBS + 1, 1), #list do
    text = text .. list[i].digest .. string.format('%016.0f', list[i].ends)
  end
  set('tombs', text)
  local _, version = newest(room)
  if version == 0 and refusals > (number(room.streak) or 0) then
    set('streak', digits(refusals))
  end
end

-- save writes what has changed, removes the records that have ended, whoever has the keys, and
-- returns why it could not, or nil. It removes before it adds: a server that is out of memory
-- still removes, and lets a script that has written go on. So a lease that was given while
-- there was memory ends with its record.
local function save()
  local err
  local last = room.streak and now + 10 * MINUTE or 0
  for name, record in pairs(records()) do
    local version, ends = parse(record)
    if version == 0 and #gone < MAX_GONE then
      clear({name})
    end
    last = math.max(last, ends)
  end
  if misplaced then
    err = problem(redis.pcall('DEL', KEYS[1]))
  end
  for at = 1, #gone, MAX_GONE do
    err = err or problem(redis.pcall('HDEL', KEYS[1], unpack(gone, at, math.min(at + MAX_GONE - 1, #gone))))
  end
  if not err and #changes > 0 then
    err = problem(redis.pcall('HSET', KEYS[1], unpack(changes)))
  end
  if err then
    return err
  end
  for _, name in ipairs({'expiry', 'memory'}) do
    last = math.max(last, number(room[name]) or 0)
  end
  for _, tomb in ipairs(tombstones()) do
    last = math.max(last, tomb.ends)
  end
  return problem(redis.pcall('PEXPIREAT', KEYS[1], digits(math.ceil(last / 1000))))
end
