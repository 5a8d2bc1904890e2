-- The short way of acquire.lua, which follows: a record that is newer than the asker's is
-- the answer, unless a token was refused. Most asks end here, in half the time.

if ARGV[7] == '0' and ARGV[8] == '' then
  local found = fields(KEYS[1], RECORD)
  if version_of(found) > tonumber(ARGV[2]) then
    return {digits(now), 'record', found.version, found.digest, found.ends, found.record}
  end
end
