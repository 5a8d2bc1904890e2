-- What the scripts of the news share. The log is a stream, KEYS[1]; its entries have the
-- fields room, token (the digest), ends and row (refusals in a row). The hold is a hash,
-- KEYS[2], with until (its end, which is also its ID), wait, over, and the fields of a
-- failure, see failure.lua. Both are in one slot of a cluster.

-- How many entries the log has, at most; the stream keeps up to a hundred more.
local MAX_LOG = 10000

-- For how long the log is kept after its last entry, in milliseconds.
local LOG_LIFE = 10 * 60 * 1000
