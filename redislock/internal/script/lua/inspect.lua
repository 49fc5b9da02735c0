local counts = {}
for number in string.gmatch(m.seen[2] or '0 0 0 0 1 x', '%S+') do
	counts[#counts + 1] = number
end
local reply = {0, m.lease, 'none', -2, tonumber(counts[5]), tonumber(counts[1]), tonumber(counts[2])}

local function add(ids)
	for i = 1, #ids, 500 do
		local texts = call('HMGET', key.entries, unpack(ids, i, math.min(i + 499, #ids)))
		for j = 1, #texts do
			reply[#reply + 1] = texts[j] or nil
		end
	end
end

if m.seen[1] then
	reply[4] = call('PTTL', key.lock)
	if m.seen[1] == 'stile1 many' then
		reply[3] = 'many'
		add(call('ZRANGE', key.held, 0, -1))
	elseif string.find(m.seen[1], '^stile1 [hmrb][xs] %x+ %d+ %d+ [%d+]+ %d+ %d+ %d+ %d+ %d+ %S+ ') then
		reply[3] = 'lone'
		reply[#reply + 1] = m.seen[1]
	else
		reply[3] = 'foreign'
	end
end
add(call('ZRANGE', key.line, 0, -1))
return reply
