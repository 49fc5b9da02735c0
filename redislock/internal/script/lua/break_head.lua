-- KEYS: the lock, its state, and perhaps the five others, which follow from the state's name.
-- ARGV: 1 id, 2 g (gently) or n (now), 3 retention in ms, 4 in tests the clock.
local CLOCK = ARGV[4]
local seen = redis.call('MGET', KEYS[1], KEYS[2])
local RETENTION = ARGV[3]
