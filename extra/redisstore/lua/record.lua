-- A record is one field of its room: "record" and the name of the key that it is sealed with,
-- which is empty in the clear. So processes without a common key have records of their own,
-- beside each other. The value is the version (16 digits), the end (16 digits), the digest of
-- the token (16 bytes), and the sealed record.
--
-- ARGV[1]: the names of the asker's keys, 4 bytes each, or "" in the clear. The asker sees
-- the records under these names only, and writes under the first one.

local OWN = {}
for at = 1, math.max(#ARGV[1], 1), 4 do
  OWN[#OWN + 1] = 'record' .. string.sub(ARGV[1], at, at + 3)
end
local HEAD, MAX_RECORD = 48, 65536

-- parse returns version, end and digest of a record; the version is 0 if it has ended, or is
-- none.
local function parse(record)
  if record and #record >= HEAD and #record <= HEAD + MAX_RECORD then
    local version, ends = number(string.sub(record, 1, 16)), number(string.sub(record, 17, 32))
    if version and ends and ends > now then
      return version, ends, string.sub(record, 33, HEAD)
    end
  end
  return 0, 0, ''
end

-- newest returns the newest of the asker's records among some fields, its version and its
-- digest; the version is 0 if there is none.
local function newest(found)
  local record, version, digest = '', 0, ''
  for _, name in ipairs(OWN) do
    local v, _, d = parse(found[name])
    if v > version then
      record, version, digest = found[name], v, d
    end
  end
  return record, version, digest
end
