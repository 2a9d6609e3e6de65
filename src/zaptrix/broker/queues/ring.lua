-- Rings many lanes in one call. Put behind `add`, which is BullMQ's own script that adds a standard job.
--
-- KEYS     what that script takes
-- ARGV[1]  time in ms
-- ARGV[2]  number of arguments of the example, then those: what BullMQ would give the script for a bell without a lane
-- then     the lanes' names
--
-- A lane whose bell waits, or whose bell is being answered and is to ring again, needs none: BullMQ would find the same,
-- but a call a lane is what this saves.

local given = tonumber(ARGV[2])
local job = cmsgpack.unpack(ARGV[3])
local options = cmsgpack.unpack(ARGV[5])
local prefix = job[1]

local answered = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[7], 0, -1)) do
  answered[id] = true
end

local function needs_no_bell(lane)
  local id = redis.call('GET', prefix .. 'de:' .. lane)
  -- A key without its job is what an outage left behind; `add` mends it.
  if not id or redis.call('EXISTS', prefix .. id) == 0 then
    return false
  end
  return not answered[id] or redis.call('EXISTS', prefix .. 'dn:' .. lane) == 1
end

local rung = 0
for at = 3 + given, #ARGV do
  local lane = ARGV[at]
  if not needs_no_bell(lane) then
    job[4] = tonumber(ARGV[1])
    job[9] = prefix .. 'de:' .. lane
    options['de']['id'] = lane
    local arguments = { cmsgpack.pack(job), cjson.encode({ lane = lane }), cmsgpack.pack(options), ARGV[1] }
    add(KEYS, arguments)
    rung = rung + 1
  end
end
return rung
