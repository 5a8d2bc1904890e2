-- The record of a room has the fields version, record (sealed), digest (of its token) and
-- ends.

local RECORD = {'version', 'record', 'digest', 'ends'}
local MAX_RECORD = 65536

-- version_of returns the version of the record among some fields, 0 if there is none that
-- has not ended.
local function version_of(found)
  local version, ends = number(found.version), number(found.ends)
  if version and ends and ends > now and found.record and #found.record <= MAX_RECORD and found.digest and #found.digest == 16 then
    return version
  end
  return 0
end
