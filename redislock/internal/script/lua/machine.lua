-- The machine of package lockqueue: settle the key, do what the command says, let the line move up again. Names are
-- those of that package. Only the ends differ: whom a grant goes to is told from here, and a value in the lock's key
-- that is not ours is a holder whom only Redis knows.

function m.ends(e)
	if e.phase == 'h' then
		return math.max(e.expires, e.since + e.minimum)
	elseif e.phase == 'r' then
		return e.since + e.minimum
	end
	return e.expires
end

function m.live(e)
	return e.phase == 'h' and e.expires > m.lease
end

function m.parse(text)
	local e = {}
	local token, since, expires, ttl, minimum, tokens, at, of
	e.phase, e.mode, e.id, token, since, expires, ttl, minimum, tokens, at, of, e.addr, e.tail = string.match(text,
		'^stile1 ([whmrb])([xs]) (%x+) (%d+) (%d+) ([%d+]+) (%d+) (%d+) (%d+) (%d+) (%d+) (%S+) (.*)$')
	if not e.id then
		return nil
	end
	if e.phase == 'm' then
		e.phase = 'h' -- m is for release's fast path, which does not look any further.
	end
	e.token, e.since, e.ttl = tonumber(token), tonumber(since), tonumber(ttl)
	e.expires = expires == '+' and e.since + e.ttl or tonumber(expires)
	e.minimum, e.tokens, e.place, e.limit = tonumber(minimum), tonumber(tokens), tonumber(at), tonumber(of)
	return e
end

function m.record(e)
	local phase = e.phase == 'h' and e.minimum > 0 and 'm' or e.phase
	return string.format('stile1 %s%s %s %d %d %d %d %d %d %d %d %s %s', phase, e.mode, e.id, e.token, e.since,
		e.expires, e.ttl, e.minimum, e.tokens, e.place, e.limit, e.addr, e.tail)
end

function m.isLone(e)
	return e.mode == 'x' and e.limit == 1
end

-- The view.

-- dropMany ends all leases of those who hold together.
function m.dropMany()
	for _, from in ipairs({key.held, key.due}) do
		local ids = call('ZRANGE', from, 0, -1)
		for i = 1, #ids, 1000 do
			call('HDEL', key.entries, unpack(ids, i, math.min(i + 999, #ids)))
		end
	end
	call('DEL', key.held, key.due)
	m.many, m.dirty, m.lockDirty, m.nextKnown = 0, true, true, nil
end

-- mend makes the two lists of those who hold together one again, when one of them was taken away. Who is not in held
-- does not hold.
function m.mend()
	for _, id in ipairs(call('ZRANGE', key.due, 0, -1)) do
		if not call('ZSCORE', key.held, id) then
			call('ZREM', key.due, id)
		end
	end
	for _, id in ipairs(call('ZRANGE', key.held, 0, -1)) do
		local text = call('HGET', key.entries, id)
		local e = text and m.parse(text)
		if e and e.phase ~= 'w' then
			call('ZADD', key.due, string.format('%d', m.ends(e)), id)
			m.far = math.max(m.far, m.ends(e))
		else
			call('ZREM', key.held, id)
			call('ZREM', key.due, id)
		end
	end
	m.many, m.nextKnown = call('ZCARD', key.held), nil
	m.fresh, m.dirty, m.lockDirty = true, true, true
end

function m.load()
	if m.seen[2] then
		local a, b, c, d, e, f, g, h = string.match(m.seen[2], '^(%d+) (%d+) (%d+) (%d+) (%d+) ([xs]) (%d+) (%d+)$')
		if not a then
			error({err = 'STILEFORMAT ' .. key.state .. ' holds what no version of stile wrote'})
		end
		m.last, m.place, m.waiting, m.many = tonumber(a), tonumber(b), tonumber(c), tonumber(d)
		m.limit, m.mode, m.gone, m.horizon = tonumber(e), f, tonumber(g), tonumber(h)
	else
		-- Never used, forgotten, or taken away; then what is left of it is counted anew.
		m.waiting, m.many = call('ZCARD', key.line), call('ZCARD', key.held)
		if m.waiting > 0 then
			local latest = call('ZRANGE', key.line, -1, -1, 'WITHSCORES')
			m.place = tonumber(latest[2])
			local e = m.parse(call('HGET', key.entries, latest[1]) or '')
			m.limit = e and e.limit or 1
		end
		if m.many > 0 then
			local latest = call('ZRANGE', key.held, -1, -1, 'WITHSCORES')
			m.last = tonumber(latest[2])
			local e = m.parse(call('HGET', key.entries, latest[1]) or '')
			if e then
				m.limit, m.mode, m.last = e.limit, e.mode, e.token + e.tokens - 1
			end
		end
		local buried = call('ZRANGE', key.gone, -1, -1, 'WITHSCORES')
		m.gone = tonumber(buried[2] or 0)
		if m.waiting > 0 or m.many > 0 or m.gone > 0 then
			m.dirty = true
		end
	end
	if m.gone ~= 0 and m.gone <= m.lease then
		m.gone, m.dirty = 0, true
	end
	local value = m.seen[1] or call('GET', key.lock) -- GET fails where the key is of another type.
	m.lone = value and m.parse(value)
	if m.lone then
		m.last = math.max(m.last, m.lone.token + m.lone.tokens - 1)
	elseif value and value ~= 'stile1 many' then
		local left = call('PTTL', key.lock)
		m.foreign = {
			id = '00000000000000000000000000000000', phase = 'h', mode = 'x', token = 0, since = 0, ttl = 0, minimum = 0,
			tokens = 1, place = 0, limit = 1, addr = '-', tail = '', expires = left < 0 and 9007199254740991 or m.lease + left * 1000 + 1,
		}
	end
	if value == 'stile1 many' and not m.seen[2] then
		m.mend()
	elseif m.many > 0 and value ~= 'stile1 many' then
		m.dropMany() -- Somebody has taken the lock's key away, and with it all who held it together.
	end
end

function m.held()
	return m.many + (m.lone and 1 or 0) + (m.foreign and 1 or 0)
end

function m.entry(id)
	if m.lone and m.lone.id == id then
		return m.lone
	end
	if m.waiting == 0 and m.many == 0 then
		return nil
	end
	if m.firstKnown and m.firstKnown.id == id then
		return m.firstKnown
	end
	local text = call('HGET', key.entries, id)
	local e = text and m.parse(text)
	if e and e.phase ~= 'w' and not call('ZSCORE', key.held, id) then
		return nil -- It is left over from a lock that was taken away in part.
	end
	return e
end

-- first returns who stands first in line. A place without a waiter's entry is no attempt.
function m.first()
	while not m.firstKnown do
		local ids = call('ZRANGE', key.line, 0, 0)
		if #ids == 0 then
			m.waiting, m.dirty = 0, true
			return nil
		end
		local text = call('HGET', key.entries, ids[1])
		local e = text and m.parse(text)
		if e and e.phase == 'w' then
			m.firstKnown = e
		else
			call('ZREM', key.line, ids[1])
			m.waiting, m.dirty = math.max(m.waiting - 1, 1), true
		end
	end
	return m.firstKnown
end

function m.nextDue()
	if m.lone or m.foreign then
		return m.lone or m.foreign
	end
	while not m.nextKnown and m.many > 0 do
		local ids = call('ZRANGE', key.due, 0, 0)
		if #ids == 0 then
			m.dropMany()
			return nil
		end
		local text = call('HGET', key.entries, ids[1])
		local e = text and m.parse(text)
		if e and e.phase ~= 'w' then
			m.nextKnown = e
		else
			call('ZREM', key.due, ids[1])
			m.many, m.dirty, m.lockDirty = math.max(m.many - call('ZREM', key.held, ids[1]), 0), true, true
		end
	end
	return m.nextKnown
end

function m.put(e, isNew)
	if e.phase == 'w' then
		if isNew then
			call('ZADD', key.line, string.format('%d', e.place), e.id)
			m.dirty = true
			m.fresh = true -- A key may be new, and has to be told when to go.
		end
		call('HSET', key.entries, e.id, m.record(e))
		if m.firstKnown and m.firstKnown.id == e.id then
			m.firstKnown = e
		end
		m.far = math.max(m.far, e.expires)
		return
	end
	m.lockDirty = true
	if m.isLone(e) then
		m.lone = e
		return
	end
	m.nextKnown = nil
	if isNew then
		call('ZADD', key.held, string.format('%d', e.token), e.id)
		m.fresh = true
	end
	local added = call('ZADD', key.due, string.format('%d', m.ends(e)), e.id)
	call('HSET', key.entries, e.id, m.record(e))
	m.far = math.max(m.far, m.ends(e))
	-- Who is new was not there before, who is not was; and nobody is there who does not hold.
	if (added == 1) ~= (isNew or false) or isNew and call('ZCARD', key.due) ~= m.many then
		m.mend()
	end
end

-- leaveLine takes an entry out of line; its record stays where a holder's is kept.
function m.leaveLine(e, keep)
	m.waiting, m.dirty = math.max(m.waiting - call('ZREM', key.line, e.id), 0), true
	if not keep then
		call('HDEL', key.entries, e.id)
	end
	if m.firstKnown and m.firstKnown.id == e.id then
		m.firstKnown = nil
	end
end

function m.remove(e)
	if e.phase == 'w' then
		m.leaveLine(e)
		return
	end
	m.dirty, m.lockDirty = true, true
	if m.isLone(e) then
		m.lone = nil
		return
	end
	m.many, m.nextKnown = math.max(m.many - call('ZREM', key.held, e.id), 0), nil
	call('ZREM', key.due, e.id)
	call('HDEL', key.entries, e.id)
end

-- tell sends a message to where an attempt listens, and returns how many heard it.
function m.tell(e, message)
	if e.addr == '-' then
		return 0
	end
	return call(string.sub(e.addr, 1, 2) == 's:' and 'SPUBLISH' or 'PUBLISH', string.sub(e.addr, 3), message)
end

-- tellHolder sends a message to the client of a holder, wherever in a Cluster it is connected to.
function m.tellHolder(e, message)
	local client = string.match(e.addr, '[^:]+$')
	if client ~= '-' then
		call('PUBLISH', 'stile:wake:' .. client, message)
	end
end

-- The machine.

function m.hasRoom(of)
	local n = m.held()
	if n == 0 then
		return true
	elseif m.foreign then
		return false
	end
	local now = m.lone and 'x' or m.mode
	if of == 's' or now == 's' then
		return of == now
	end
	return n < m.limit
end

function m.nextToken()
	return math.max(m.last + 1, m.wall)
end

function m.grant(e)
	local waited = e.phase == 'w' and e.place ~= 0
	e.token = m.nextToken()
	m.last = e.token + e.tokens - 1
	e.phase, e.since, e.expires, e.limit = 'h', m.lease, m.lease + e.ttl, m.limit
	if waited then
		m.leaveLine(e, not m.isLone(e))
	end
	if not m.isLone(e) then
		m.many, m.mode = m.many + 1, e.mode
	end
	m.dirty = true
	m.put(e, true)
end

-- reach tells a waiter that it is granted, and reports whether anybody heard it.
function m.reach(e)
	return m.tell(e, string.format('g %s %d %d %d', e.id, m.nextToken(), m.lease, m.lease + e.ttl)) > 0
end

function m.advance()
	while m.waiting > 0 do
		local e = m.first()
		if not e then
			return
		end
		if e.id == m.leaving then
			m.left = e
			m.remove(e)
		elseif e.expires <= m.lease then
			m.remove(e)
		elseif not m.hasRoom(e.mode) then
			return
		elseif e.id == m.asking or m.reach(e) then
			m.grant(e)
			m.woken[#m.woken + 1] = e
		else
			m.remove(e)
		end
	end
end

function m.settle()
	while m.held() > 0 do
		local e = m.nextDue()
		if not e or e == m.foreign or m.ends(e) > m.lease then
			break
		end
		m.remove(e)
	end
	m.advance()
end

function m.isNew(id)
	for i = 1, #m.woken do
		if m.woken[i].id == id then
			return true
		end
	end
	return false
end

-- bury keeps the id of an attempt that is over for a minute, so that a late copy of its acquire is no new attempt.
function m.bury(id)
	m.gone, m.dirty = m.lease + 60000000, true
	-- This first: a full server refuses a script's first write if it needs memory, and this one does not.
	call('ZREMRANGEBYSCORE', key.gone, '-inf', string.format('%d', m.lease))
	call('ZADD', key.gone, string.format('%d', m.gone), id)
	call('PEXPIRE', key.gone, string.format('%d', 60000 + m.slack))
end

function m.isBuried(id)
	local till = m.gone > m.lease and call('ZSCORE', key.gone, id)
	return till and tonumber(till) > m.lease
end

-- lifetime is how long a key is kept that must be there until a time, in milliseconds.
function m.lifetime(till)
	return string.format('%d', math.ceil(math.max(till - m.lease, 0) / 1000) + 1 + m.slack)
end

-- save writes what has changed, and sees to it that every key goes by itself one day.
function m.save()
	if m.lockDirty and not m.foreign then
		if m.lone then
			call('SET', key.lock, m.record(m.lone), 'PX', m.lifetime(m.ends(m.lone)))
		elseif m.many > 0 then
			local latest = call('ZRANGE', key.due, -1, -1, 'WITHSCORES')
			if latest[2] then
				call('SET', key.lock, 'stile1 many', 'PX', m.lifetime(tonumber(latest[2])))
			else
				m.dropMany() -- Those who were counted were taken away.
				call('DEL', key.lock)
			end
		else
			call('DEL', key.lock)
		end
	end
	local retention = m.retention * 1000
	if m.waiting == 0 and m.many == 0 then
		m.horizon = 0
	elseif m.far > 0 and (m.fresh or m.horizon < m.far + retention) then
		if m.horizon < m.far + retention then
			m.horizon = m.far + 2 * retention
		end
		local lives = m.lifetime(m.horizon)
		call('PEXPIRE', key.entries, lives)
		if m.waiting > 0 then
			call('PEXPIRE', key.line, lives)
		end
		if m.many > 0 then
			call('PEXPIRE', key.held, lives)
			call('PEXPIRE', key.due, lives)
		end
		m.dirty = true
	end
	if m.dirty or m.lockDirty then
		local till = math.max(m.horizon, m.lone and m.ends(m.lone) + retention or 0, m.lease + retention, m.gone)
		call('SET', key.state, string.format('%d %d %d %d %d %s %d %d', m.last, m.place, m.waiting, m.many, m.limit, m.mode, m.gone, m.horizon),
			'PX', m.lifetime(till + math.max(m.last - m.wall, 0)))
	end
end

-- due is when the key next changes by itself; 0 if it does not.
function m.due()
	if m.waiting == 0 or m.held() == 0 then
		return 0
	end
	local e, f = m.nextDue(), m.first()
	if not e or not f then
		return 0
	end
	return math.min(m.ends(e), f.expires)
end

-- look tells the first in line if the holders give way earlier than it was told.
function m.look()
	if not m.before or m.waiting == 0 or m.held() == 0 then
		return
	end
	local e, f = m.nextDue(), m.first()
	if e and f and m.ends(e) < m.before and f.id ~= m.asking then
		m.tell(f, 'l ' .. f.id)
	end
end

-- answer ends the command. A test hears more.
function m.answer(reply)
	m.advance()
	m.look()
	local at = m.due()
	m.save()
	if reply[1] == 2 then
		reply[3] = at
	end
	if m.clock then
		local list = {}
		for i = 1, #m.woken do
			if m.woken[i].id ~= m.asking then
				list[#list + 1] = m.woken[i].id
				list[#list + 1] = m.woken[i].token
			end
		end
		reply[#reply + 1] = list
		reply[#reply + 1] = at
	end
	return reply
end

m.load()
if m.waiting > 0 and m.held() > 0 then
	local e = m.nextDue()
	m.before = e and m.ends(e) -- What those who wait go by.
end
