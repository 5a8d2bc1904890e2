-- What the scripts of a room share. A room is a hash with these fields; names of at most
-- six characters take the least memory.
--
--   version record digest ends     the record, see record.lua
--   lease expiry since base skip   the lease: its ID, until when, since when, on which version,
--                                  and the version of the record that its holder cannot read
--   kind count text notbef memory  the failure, see failure.lua
--   streak                         how many tokens in a row were refused, while there is no record
--   tombs                          tombstones: 16 bytes digest, 16 digits end, each
--   boxes                          the inboxes of those who wait, 16 characters each
--
-- The hash ends with the last of what it holds.

local LEASE = {'lease', 'expiry', 'since', 'base', 'skip', 'boxes'}
local FIELDS = {
  'version', 'record', 'digest', 'ends', 'lease', 'expiry', 'since', 'base', 'skip',
  'kind', 'count', 'text', 'notbef', 'memory', 'streak', 'tombs', 'boxes',
}
local MAX_TOMBS = 16
local MAX_BOXES = 256

-- The room as it is now. What set and clear change, save writes.
local room, misplaced = fields(KEYS[1], FIELDS)
local changes, gone = {}, {}

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

-- bury drops the record if it holds that token, and leaves a tombstone.
local function bury(digest, left, refusals)
  if room.digest == digest then
    clear(RECORD)
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
  if version_of(room) == 0 and refusals > (number(room.streak) or 0) then
    set('streak', digits(refusals))
  end
end

-- save writes what has changed and returns why it could not, or nil. It removes before it
-- adds: a server that is out of memory still removes, and lets a script that has written go
-- on. So a lease that was given while there was memory ends with its record.
local function save()
  local err
  if misplaced then
    err = problem(redis.pcall('DEL', KEYS[1]))
  end
  if not err and #gone > 0 then
    err = problem(redis.pcall('HDEL', KEYS[1], unpack(gone)))
  end
  if not err and #changes > 0 then
    err = problem(redis.pcall('HSET', KEYS[1], unpack(changes)))
  end
  if err then
    return err
  end
  local last = room.streak and now + 10 * MINUTE or 0
  for _, name in ipairs({'ends', 'expiry', 'memory'}) do
    last = math.max(last, number(room[name]) or 0)
  end
  for _, tomb in ipairs(tombstones()) do
    last = math.max(last, tomb.ends)
  end
  return problem(redis.pcall('PEXPIREAT', KEYS[1], digits(math.ceil(last / 1000))))
end
