-- KEYS: the lock, its state, and perhaps the five others, which follow from the state's name.
-- ARGV: 1 'stile1 hx <id> ', the beginning of a record, 2 and 3 how long the lock's key and the state live in ms, 4 the
-- end of a record from its TTL on, 5 '<1 if plain, or 0> <mode> <how> <waiter lease in µs> <retention in ms>', 6 in tests
-- the clock.
-- Plain: exclusive, alone (limit 1), one token, no minimum hold.
local CLOCK = ARGV[6]
local seen, undone

-- Most acquires find a key that nobody holds, nobody waits for and nothing is left to clean up of. They are written as
-- if that were so, and looked at afterwards: one read and two writes that say what was there before. Numbers stay
-- strings where they can: tostring keeps 14 digits only, and %.0f takes ten times as long as %d. So the record does not
-- say when the lease expires: '+' is its TTL after it was granted.
if string.byte(ARGV[5]) == 49 then
	local at, wall
	if CLOCK then
		at, wall = string.match(CLOCK, '^(%d+) (%d+)$')
	else
		local time = redis.call('TIME')
		at = time[1] .. (#time[2] == 6 and time[2] or string.sub('00000' .. time[2], -6))
		wall = at
	end
	-- An error if it is no string.
	local lock = redis.call('SET', KEYS[1], ARGV[1] .. wall .. ' ' .. at .. ' + ' .. ARGV[4], 'NX', 'GET', 'PX', ARGV[2])
	if lock then
		local state = redis.call('GET', KEYS[2])
		seen = {lock, state}
		-- Most others join a line behind a lone holder. If that one's lease counts, the first in line is alive and no key
		-- has to live longer, then three writes do it.
		local waiter, retention = string.match(ARGV[5], '^1 x q (%d+) (%d+)$')
		local token, since, till, ttl, tokens = string.match(lock, '^stile1 hx %x+ (%d+) (%d+) ([%d+]+) (%d+) 0 (%d+) ')
		if till == '+' then
			till = since + ttl
		end
		local last, place, waiting, mode, horizon = string.match(state or '', '^(%d+) (%d+) (%d+) 0 1 (%a) 0 (%d+)$')
		if waiter and last and token and string.find(lock, ARGV[1], 1, true) ~= 1 and waiting ~= '0' and till + 0 > at + 0 and token + tokens - 1 <= last + 0
			and horizon + 0 >= at + waiter + retention * 1000 then
			local rest = string.sub(KEYS[2], 12)
			local line, entries = 'stile:line' .. rest, 'stile:entries' .. rest
			local first = redis.call('ZRANGE', line, 0, 0)[1]
			local theirs = first and redis.call('HGET', entries, first)
			theirs = theirs and string.match(theirs, '^stile1 w[xs] %x+ %d+ %d+ (%d+) ')
			if theirs and theirs + 0 > at + 0 then
				local before, after = string.match(ARGV[4], '^(%d+ %d+ %d+) 0 (.*)$')
				place = string.format('%d', place + 1)
				local id = string.sub(ARGV[1], 11, 42)
				if redis.call('HSETNX', entries, id, 'stile1 wx ' .. id .. ' 0 ' .. at .. ' '
					.. string.format('%d', at + waiter) .. ' ' .. before .. ' ' .. place .. ' ' .. after) == 1 then
					redis.call('ZADD', line, place, id)
					local lives = math.max(horizon, till + retention * 1000) - at + math.max(last - wall, 0)
					redis.call('SET', KEYS[2], last .. ' ' .. place .. ' ' .. string.format('%d', waiting + 1) .. ' 0 1 ' .. mode .. ' 0 ' .. horizon,
						'PX', string.format('%d', math.ceil(lives / 1000) + 1 + (CLOCK and 86400000 or 0)))
					local due = math.min(till, theirs)
					return CLOCK and {2, at, due, waiting + 0, 0, {}, due} or {2, at, due, waiting + 0, 0}
				end
			end
		end
	else
		local state = redis.pcall('SET', KEYS[2], wall .. ' 0 0 0 1 x 0 0', 'GET', 'PX', ARGV[3])
		if type(state) == 'table' then -- It is no string.
			redis.call('DEL', KEYS[1])
			return state
		elseif state then
			-- Times have 16 digits until the year 2286, and can be compared as texts.
			if string.sub(state, 17) == ' 0 0 0 1 x 0 0' and string.sub(state, 1, 16) < wall then
				return CLOCK and {1, at, wall, at, string.match(ARGV[4], '^%d+') + at} or at
			end
		else
			local rest = string.sub(KEYS[2], 12)
			if redis.call('EXISTS', 'stile:line' .. rest, 'stile:held' .. rest, 'stile:gone' .. rest) == 0 then
				return CLOCK and {1, at, wall, at, string.match(ARGV[4], '^%d+') + at} or at
			end
		end
		-- It was not so: put it back. The state gets its lifetime when it is written again at the end.
		redis.call('DEL', KEYS[1])
		undone = true
		if state then
			redis.call('SET', KEYS[2], state, 'PX', ARGV[3])
		else
			redis.call('DEL', KEYS[2])
		end
		seen = {false, state}
	end
else
	-- MGET does not mind a key of another type; whoever writes one that it does not see has asked GET first.
	seen = redis.call('MGET', KEYS[1], KEYS[2])
end
local MODE, HOW, WAITER, RETENTION = string.match(ARGV[5], '^. (%a) (%a) (%d+) (%d+)$')
