-- A call of a watched method has answered: its reservation goes, and what the portal counts is believed.
--
-- KEYS[1]  the method's time   KEYS[2]  the portal's limit, when it is lower than most
-- ARGV: 1 the time; empty: this server's   2 the call   3 its items   4 what the portal counts; empty: it did not say
--       5 when the portal said so   6 the minute of its oldest part; empty: unknown   7 1: it has refused the call
--       8 the limit of most portals   9 from where on a method is watched   10 what the caller remembers
-- Answers  what the caller is to remember; empty: the method is far from its limit
local clock = redis.call('TIME')
local now = tonumber(ARGV[1]) or (clock[1] * 1000000 + clock[2])
local refused, counted, told = ARGV[7] == '1', tonumber(ARGV[4]), tonumber(ARGV[5])
local most, watched = tonumber(ARGV[8]), tonumber(ARGV[9])

local window = window_of(KEYS[1], now, ARGV[10])
local fresh = window == nil
window = window or {parts = {}, calls = {}, used = 0, reserved = 0, each = 0, told = 0}

local call = 'c' .. ARGV[2]
local was_reserved = window.calls[call]
if was_reserved then
  window.reserved = window.reserved - tonumber(string.match(was_reserved, '^%S+ (%S+)'))
  window.calls[call] = nil
end

-- Of the parts, the oldest go first: what has run out at the portal has run out here.
local function give_back(seconds)
  local minutes = {}
  for minute in pairs(window.parts) do
    minutes[#minutes + 1] = minute
  end
  table.sort(minutes)
  for _, minute in ipairs(minutes) do
    local less = math.min(seconds, window.parts[minute])
    window.parts[minute] = window.parts[minute] - less
    seconds = seconds - less
    if window.parts[minute] <= 0 then
      window.parts[minute] = nil
    end
  end
end

local function spend(minute, seconds)
  window.parts[minute] = (window.parts[minute] or 0) + seconds
  window.used = window.used + seconds
end

if counted then
  local more = counted - window.used
  if more > 0 then
    local oldest = tonumber(ARGV[6])
    -- A refusal by a portal that nobody watched: all that is known is when the oldest part runs out.
    spend(fresh and refused and oldest and math.min(oldest, minute_of(now)) or minute_of(now), more)
  elseif told >= window.told then -- an older answer knows nothing of the calls that ended since
    give_back(-more)
    window.used = counted
  end
  window.told = math.max(window.told, told)
  if not refused and not fresh then
    -- The dearest of late, not the mean: what is reserved too much comes back with the answer, too little is a refusal.
    window.each = math.max(more > 0 and more / tonumber(ARGV[3]) or 0, window.each * 0.95)
  end
end
if refused then
  local limit = limit_of(KEYS[2], most)
  if not counted or counted < limit then
    -- Some portals block at 420 s: https://apidocs.bitrix24.com/limits.html
    limit = (counted and counted < 420 and counted) or (limit > 420 and 420) or limit * 0.95
    redis.call('SET', KEYS[2], string.format('%.6f', limit), 'EX', 2592000)
  end
  if window.used < limit then
    spend(minute_of(now), limit - window.used)
  end
end

if window.used + window.reserved < watched / 2 then
  redis.call('DEL', KEYS[1])
  return ''
end
return keep(KEYS[1], window)
