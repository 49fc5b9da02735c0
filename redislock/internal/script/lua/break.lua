local id, how = ARGV[1], ARGV[2]

local function breakLease()
	local e = m.entry(id)
	if not e or e.phase == 'w' or m.isNew(id) then
		return {5, m.lease}
	end
	m.tellHolder(e, 'b ' .. id)
	if how == 'n' or e.phase == 'r' or e.expires <= m.lease then
		m.remove(e)
	else
		e.phase = 'b'
		m.put(e)
	end
	return {0, m.lease}
end

m.settle()
return m.answer(breakLease())
