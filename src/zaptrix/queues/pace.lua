-- One token of each of several leaky buckets, or none of any: the generic cell rate algorithm (ITU-T I.371).
-- A key holds when its bucket will be empty, in microseconds since 1970; an empty bucket has no key.
--
-- KEYS[1]  the birth mark: since when this Redis remembers, and whether it had forgotten what somebody still knew
-- KEYS[..] the buckets; of a method whose time is watched: its time, and the portal's limit
-- ARGV[1]  the longest wait that is worth booking
-- ARGV[2]  the time; empty: this server's
-- ARGV[3]  the birth that the caller saw last; empty: none
-- ARGV[4]  1: a platform has refused, so the buckets are full; nothing is booked
-- ARGV[5]  how many buckets there are
-- ARGV[..] of each bucket: the interval between two tokens, how many may go at once, when the caller saw it empty
--          last, and whether it counts as full when it was forgotten (1)
-- ARGV[..] of a method: a name for the call, its items, the limit of most portals, and what the caller remembers
-- Answers  1 when booked, else 0; the wait; the number of the bucket that asks for it, or 0: method time; the birth; 1
--          when time was reserved; when each is empty
local clock = redis.call('TIME')
local now = tonumber(ARGV[2]) or (clock[1] * 1000000 + clock[2])
local wait_max = tonumber(ARGV[1])

-- "L" marks a loss. A first start loses nothing: a caller that never saw a birth cannot tell of one.
-- "?" is what whoever gave this script to a Redis with a memory wrote: it had been restarted, or we are a new release.
local birth = redis.call('GET', KEYS[1])
local lost = birth == '?' or (ARGV[3] ~= '' and ARGV[3] ~= birth)
if not birth or (lost and string.sub(birth, 1, 1) ~= 'L') then
  birth = (lost and 'L' or 'F') .. string.format('%.0f', now)
  redis.call('SET', KEYS[1], birth)
end
local lost_at = string.sub(birth, 1, 1) == 'L' and tonumber(string.sub(birth, 2)) or nil

local empty_at, interval, slack = {}, {}, {}
local wait, slowest = 0, 1
local buckets = tonumber(ARGV[5])
for i = 1, buckets do
  interval[i] = tonumber(ARGV[2 + 4 * i])
  slack[i] = interval[i] * (tonumber(ARGV[3 + 4 * i]) - 1)
  local stored = math.max(tonumber(redis.call('GET', KEYS[1 + i]) or now), tonumber(ARGV[4 + 4 * i]))
  if lost_at and ARGV[5 + 4 * i] == '1' then
    -- With all that may have been booked ahead and forgotten: whoever booked it is still going to call.
    stored = math.max(stored, lost_at + wait_max + slack[i] + interval[i])
  end
  -- Further ahead than anything this script books means that the clock went back or that the bucket was made smaller.
  empty_at[i] = math.max(now, math.min(stored, now + wait_max + slack[i] + interval[i]))
  if empty_at[i] - slack[i] - now > wait then
    wait, slowest = empty_at[i] - slack[i] - now, i
  end
end

-- All tokens are booked for the moment when the slowest bucket lets go. A bucket that is further along than that loses
-- what it would have let through until then: more than one token, and one slow pair would starve its whole number.
local booked = ARGV[4] ~= '1' and wait <= wait_max
for i = 1, buckets do
  booked = booked and (i == slowest or now + wait - empty_at[i] <= interval[i])
end

-- Before the tokens: a call that its method has no time for takes none. Most methods have no hash, and cost one read.
local method = #KEYS > buckets + 1 and 5 + 4 * buckets
local window = method and booked and window_of(KEYS[buckets + 2], now, ARGV[method + 4])
if window then
  local until_free = wait_for(window, now, limit_of(KEYS[buckets + 3], tonumber(ARGV[method + 3])))
  if until_free > 0 then
    booked, wait, slowest = false, until_free, 0
  else
    local ends = now + wait + CALL
    local seconds = window.each * tonumber(ARGV[method + 2])
    window.calls['c' .. ARGV[method + 1]] = string.format('%.0f %.6f %.0f', ends, seconds, minute_of(now + wait))
    keep(KEYS[buckets + 2], window)
  end
end

local answer = {booked and 1 or 0, wait, slowest, birth, booked and window and 1 or 0}
for i = 1, buckets do
  local then_empty = empty_at[i]
  if ARGV[4] == '1' then
    then_empty = math.max(then_empty, now + slack[i] + interval[i])
  elseif booked then
    then_empty = math.max(then_empty, now + wait) + interval[i]
  end
  if then_empty > now then
    redis.call('SET', KEYS[1 + i], string.format('%.0f', then_empty), 'PX', math.ceil((then_empty - now) / 1000) + 5000)
  end
  answer[5 + i] = string.format('%.0f', then_empty)
end
return answer
