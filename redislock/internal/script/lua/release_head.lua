-- KEYS: the lock, its state, and perhaps the five others, which follow from the state's name.
-- ARGV: 1 'stile1 hx <id> ', the beginning of a record, 2 '<tombstone> <retention in ms>', 3 in tests the clock.
-- Tombstone: 1 always, w if it withdraws a waiter, 0 never.
local CLOCK = ARGV[3]

local seen = redis.call('MGET', KEYS[1], KEYS[2])

-- The holder gives the key back. The lock's key goes with its lease, so that it is there says that the lease still
-- counts; only a clock set by a test has to be asked. A holder with a minimum hold has the phase m.
local mine = seen[1] and seen[2] and string.byte(ARGV[2]) ~= 49 and string.find(seen[1], ARGV[1], 1, true) == 1
if mine and CLOCK then
	local since, till, ttl = string.match(seen[1], '^stile1 hx %x+ %d+ (%d+) ([%d+]+) (%d+)')
	mine = (till == '+' and since + ttl or till + 0) > string.match(CLOCK, '^%d+') + 0
end
if mine then
	-- Nobody waits: one read and one write.
	if string.sub(seen[2], 17, 21) == ' 0 0 ' or string.find(seen[2], '^%d+ %d+ 0 ') then
		redis.call('DEL', KEYS[1])
		return 0
	end
	-- Somebody waits. If the first two are alive and the first one listens, it has the key: four writes.
	local last, latest, waiting, mode, gone, horizon = string.match(seen[2], '^(%d+) (%d+) (%d+) 0 1 (%a) (%d+) (%d+)$')
	local token, since, till, ttl, tokens = string.match(seen[1], '^stile1 hx %x+ (%d+) (%d+) ([%d+]+) (%d+) 0 (%d+) ')
	if till == '+' then
		till = since + ttl
	end
	if last and token and token + tokens - 1 <= last + 0 then
		local at, wall
		if CLOCK then
			at, wall = string.match(CLOCK, '^(%d+) (%d+)$')
		else
			local time = redis.call('TIME')
			at = time[1] .. (#time[2] == 6 and time[2] or string.sub('00000' .. time[2], -6))
			wall = at
		end
		local rest = string.sub(KEYS[2], 12)
		local line, entries = 'stile:line' .. rest, 'stile:entries' .. rest
		local ids = redis.call('ZRANGE', line, 0, 1)
		local texts = ids[1] and redis.call('HMGET', entries, unpack(ids)) or ids
		local id, ends, place, channel, tail
		id, ends, ttl, tokens, place, channel, tail = string.match(texts[1] or '',
			'^stile1 wx (%x+) 0 %d+ (%d+) (%d+) 0 (%d+) (%d+) 1 (%S+) (.*)$')
		local second, other
		if ids[2] then
			second, other = string.match(texts[2] or '', '^stile1 w[xs] %x+ %d+ %d+ (%d+) %d+ %d+ %d+ %d+ %d+ (%S+) ')
		end
		if id and till + 0 > at + 0 and ends + 0 > at + 0 and channel ~= '-'
			and (waiting == '1' and not ids[2] or waiting ~= '1' and second and second + 0 > at + 0) then
			local grant = math.max(last + 1, wall)
			local text = string.format('%d', grant)
			local expires = string.format('%d', at + ttl)
			if redis.call(string.sub(channel, 1, 2) == 's:' and 'SPUBLISH' or 'PUBLISH', string.sub(channel, 3),
				'g ' .. id .. ' ' .. text .. ' ' .. at .. ' ' .. expires) > 0 then
				local slack, retention = CLOCK and 86400000 or 0, string.match(ARGV[2], '^. (%d+)$') * 1000
				redis.call('ZREM', line, id)
				redis.call('HDEL', entries, id)
				redis.call('SET', KEYS[1], 'stile1 hx ' .. id .. ' ' .. text .. ' ' .. at .. ' ' .. expires .. ' ' .. ttl .. ' 0 ' .. tokens .. ' '
					.. place .. ' 1 ' .. channel .. ' ' .. tail, 'PX', string.format('%d', math.ceil(ttl / 1000) + 1 + slack))
				last = grant + tokens - 1
				if gone + 0 <= at + 0 then
					gone = '0'
				end
				if waiting == '1' then
					horizon = '0'
				end
				local lives = math.max(horizon, at + ttl + retention, gone) - at + math.max(last - wall, 0)
				redis.call('SET', KEYS[2], string.format('%d', last) .. ' ' .. latest .. ' ' .. string.format('%d', waiting - 1) .. ' 0 1 ' .. mode
					.. ' ' .. gone .. ' ' .. horizon, 'PX', string.format('%d', math.ceil(lives / 1000) + 1 + slack))
				-- The next one was told of a later time.
				if second and at + ttl < till + 0 and other ~= '-' then
					redis.call(string.sub(other, 1, 2) == 's:' and 'SPUBLISH' or 'PUBLISH', string.sub(other, 3), 'l ' .. ids[2])
				end
				return CLOCK and {0, at, {id, text}, second and math.min(at + ttl, second) or 0} or {0, at}
			end
		end
	end
end
local RETENTION = string.match(ARGV[2], '^. (%d+)$')
