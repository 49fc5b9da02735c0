-- KEYS: the lock, its state, and perhaps the five others, which follow from the state's name.
-- ARGV: 1 id, 2 token or 0, 3 TTL in µs, 4 retention in ms, 5 in tests the clock.
local CLOCK = ARGV[5]
local seen = redis.call('MGET', KEYS[1], KEYS[2])
local RETENTION = ARGV[4]
