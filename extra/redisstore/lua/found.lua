-- The short way of acquire.lua, which follows: a record that is newer than the asker's is
-- the answer, unless a token was refused. Most asks end here, in half the time.

if ARGV[8] == '0' and ARGV[9] == '' then
  local record, version = newest(fields(KEYS[1], OWN))
  if version > tonumber(ARGV[3]) then
    return {digits(now), '0', 'record', record}
  end
end
