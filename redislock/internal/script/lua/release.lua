local id, leavesTomb = string.sub(ARGV[1], 11, 42), string.sub(ARGV[2], 1, 1)

local function withdrawn(e)
	m.tell(e, 'w ' .. id)
	if leavesTomb == 'w' then
		m.bury(id)
	end
	return {0, m.lease}
end

local function release()
	if leavesTomb == '1' then
		m.bury(id)
	end
	local e = m.entry(id)
	if m.left then
		return withdrawn(m.left)
	elseif not e then
		return {5, m.lease}
	elseif e.phase == 'r' then
		return {0, m.lease}
	elseif e.phase == 'h' and not m.live(e) then
		return {5, m.lease}
	elseif e.phase == 'w' then
		m.remove(e)
		return withdrawn(e)
	end
	local reply = {e.phase == 'b' and 5 or 0, m.lease}
	if e.phase == 'h' and e.since + e.minimum > m.lease then
		e.phase = 'r'
		m.put(e)
	else
		m.remove(e)
	end
	return reply
end

m.leaving = id
m.settle()
return m.answer(release())
