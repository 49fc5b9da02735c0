-- KEYS: the lock, its state, and perhaps the five others, which follow from the state's name.
-- ARGV: 1 retention in ms, 2 in tests the clock.
local CLOCK = ARGV[2]
local seen = redis.call('MGET', KEYS[1], KEYS[2])
local RETENTION = ARGV[1]
