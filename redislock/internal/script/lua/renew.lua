local id, token = ARGV[1], tonumber(ARGV[2])

local function renew()
	local e = m.entry(id)
	if not e or not m.live(e) or m.isNew(id) or (token ~= 0 and token ~= e.token) then
		return {5, m.lease}
	end
	-- A server that is out of memory refuses a script's first write if it needs memory; this one does not.
	call('PEXPIRE', key.lock, m.lifetime(m.lease + ARGV[3]))
	e.ttl = tonumber(ARGV[3])
	e.expires = m.lease + e.ttl
	m.put(e)
	return {0, m.lease, e.expires}
end

m.settle()
return m.answer(renew())
