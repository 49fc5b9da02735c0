-- From here on everything is in two tables: a function that used many locals would cost more to make than to run.
local call = redis.call
local rest = string.sub(KEYS[2], 12) -- 'stile:state' is gone.
local key = {
	lock = KEYS[1], state = KEYS[2], line = 'stile:line' .. rest, entries = 'stile:entries' .. rest, held = 'stile:held' .. rest,
	due = 'stile:due' .. rest, gone = 'stile:gone' .. rest,
}
local m = {
	seen = seen, clock = CLOCK, retention = RETENTION, slack = 0,
	-- The key's record. lone is the one exclusive holder; foreign is whoever else the lock's key belongs to.
	last = 0, place = 0, waiting = 0, many = 0, limit = 1, mode = 'x', gone = 0, horizon = 0,
	-- What this command has changed.
	dirty = false, lockDirty = false, far = 0, woken = {},
}

-- A test that sets the clock has all keys live for a day longer, so that real time never takes part.
if CLOCK then
	local lease, wall = string.match(CLOCK, '^(%d+) (%d+)$')
	m.lease, m.wall, m.slack = tonumber(lease), tonumber(wall), 86400000
else
	local time = call('TIME')
	m.lease = time[1] * 1000000 + time[2]
	m.wall = m.lease
end
