-- It only reads: what has run out is still there, and the reader looks at the times.
-- KEYS: the lock, its state, and perhaps the five others, which follow from the state's name.
-- ARGV: 1 in tests the clock.
local CLOCK, RETENTION = ARGV[1], 0
local seen = redis.call('MGET', KEYS[1], KEYS[2])
