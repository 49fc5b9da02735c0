-- Every other acquire.
local id, ttl = string.sub(ARGV[1], 11, 42), string.match(ARGV[4], '^%d+') + 0
m.asks, m.how, m.waiter = MODE, HOW, WAITER

local function busy()
	if m.how == 'p' then
		return {7, m.lease}
	end
	local reply = {3, m.lease, m.limit}
	if m.lone or m.foreign then
		reply[4] = m.record(m.lone or m.foreign)
	elseif m.many > 0 then
		local ids = call('ZRANGE', key.held, 0, 7)
		local texts = #ids > 0 and call('HMGET', key.entries, unpack(ids)) or ids
		for i = 1, #texts do
			reply[#reply + 1] = texts[i] or nil
		end
	end
	return reply
end

local function queued(ahead)
	return {2, m.lease, 0, ahead, m.foreign and 1 or 0}
end

-- again answers a copy of an attempt that is already known. addr is where the copy listens.
local function again(e, addr)
	if m.live(e) then
		e.addr, e.ttl = addr, ttl
		e.expires = math.max(e.expires, m.lease + ttl)
		m.put(e)
		return {1, m.lease, e.token, e.since, e.expires}
	elseif e.phase ~= 'w' then
		return {5, m.lease}
	elseif m.how == 'n' then
		m.remove(e)
		return busy()
	elseif m.how == 'p' then
		return busy()
	end
	e.addr, e.expires = addr, m.lease + m.waiter
	m.put(e)
	local rank = call('ZRANK', key.line, id)
	if not rank then -- The line was taken away, and is made anew by those who stood in it.
		call('ZADD', key.line, string.format('%d', e.place), id)
		m.waiting, m.dirty, m.fresh, m.firstKnown = call('ZCARD', key.line), true, true, nil
		rank = call('ZRANK', key.line, id)
	end
	m.place = math.max(m.place, e.place)
	return queued(rank)
end

local function acquire()
	local _, minimum, tokens, _, asked, addr, tail = string.match(ARGV[4], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (.*)$')
	local e = m.entry(id)
	if e then
		return again(e, addr)
	elseif m.isBuried(id) then
		return {5, m.lease}
	end
	asked = tonumber(asked)
	if not m.lone and m.many == 0 and m.waiting == 0 then
		m.limit = asked
	elseif m.limit ~= asked then
		return {4, m.lease, m.limit}
	end
	e = {
		id = id, phase = 'w', mode = m.asks, token = 0, since = m.lease, ttl = ttl, minimum = tonumber(minimum),
		tokens = tonumber(tokens), place = 0, limit = m.limit, addr = addr, tail = tail,
	}
	if m.waiting == 0 and m.hasRoom(e.mode) then
		m.grant(e)
		return {1, m.lease, e.token, e.since, e.expires}
	elseif m.how ~= 'q' then
		return busy()
	end
	m.place, m.waiting = m.place + 1, m.waiting + 1
	e.place, e.expires = m.place, m.lease + m.waiter
	m.put(e, true)
	return queued(m.waiting - 1)
end

m.asking, m.dirty = id, m.dirty or undone
m.settle()
return m.answer(acquire())
