-- One token of each of several leaky buckets, or none of any: the generic cell rate algorithm (ITU-T I.371).
-- A key holds when its bucket will be empty, in microseconds since 1970; an empty bucket has no key.
-- A second key holds what processes have leased of it: tokens to be used without asking, and until when. They are
-- reserved: what is asked for finds the bucket so much smaller, so that all together never take more than it holds.
--
-- KEYS[1]  the birth mark: since when this Redis remembers, and whether it had forgotten what somebody still knew
-- KEYS[..] the buckets; their leases; of a method whose time is watched: its time, and the portal's limit
-- ARGV[1]  the longest wait that anybody books
-- ARGV[2]  the time; empty: this server's
-- ARGV[3]  the birth that the caller saw last; empty: none
-- ARGV[4]  1: a platform has refused, so the buckets are full; nothing is booked
-- ARGV[5]  the longest wait that is booked for this caller
-- ARGV[6]  how long a lease is counted
-- ARGV[7]  how many buckets there are
-- ARGV[..] of each bucket: the interval between two tokens, how many may go at once, when the caller saw it empty
--          last, whether it counts as full when it was forgotten (1), how many tokens the caller would lease, and the
--          lease that it gives back ("size used until"; empty: none)
-- ARGV[..] of a method: a name for the call, its items, the limit of most portals, and what the caller remembers
-- Answers  1 when booked, else 0; the wait; the number of the bucket that asks for it, or 0: method time; the birth; 1
--          when time was reserved; until when leases of now are counted; of each bucket: when it is empty, and how many
--          tokens more are leased

-- Leases take at most half of a bucket, and each a sixth of what that half has left: the more processes hold one, the
-- smaller they get, and a bucket that is more than half full gives none.
local LEASED, SHARE = 1 / 2, 1 / 6

local clock = redis.call('TIME')
local now = tonumber(ARGV[2]) or (clock[1] * 1000000 + clock[2])
local wait_max, lease = tonumber(ARGV[1]), tonumber(ARGV[6])
local buckets = tonumber(ARGV[7])
local kept = redis.call('MGET', unpack(KEYS, 1, 1 + 2 * buckets))

-- "L" marks a loss. A first start loses nothing: a caller that never saw a birth cannot tell of one.
-- "?" is what whoever gave this script to a Redis with a memory wrote: it had been restarted, or we are a new release.
local birth = kept[1]
local lost = birth == '?' or (ARGV[3] ~= '' and ARGV[3] ~= birth)
if not birth or (lost and string.sub(birth, 1, 1) ~= 'L') then
  birth = (lost and 'L' or 'F') .. string.format('%.0f', now)
  redis.call('SET', KEYS[1], birth)
end
local lost_at = string.sub(birth, 1, 1) == 'L' and tonumber(string.sub(birth, 2)) or nil

local empty_at, interval, burst, leased, till = {}, {}, {}, {}, {}
local wait, slowest = 0, 1
for i = 1, buckets do
  local given = 1 + 6 * i
  interval[i], burst[i] = tonumber(ARGV[given + 1]), tonumber(ARGV[given + 2])
  local stored = math.max(tonumber(kept[1 + i] or now), tonumber(ARGV[given + 3]))
  if lost_at and ARGV[given + 4] == '1' then
    -- With all that may have been booked ahead and forgotten: whoever booked it is still going to call.
    stored = math.max(stored, lost_at + wait_max + interval[i] * burst[i])
  end

  local size, ends = string.match(kept[1 + buckets + i] or '0 0', '^(%d+) (%d+)$')
  leased[i], till[i] = tonumber(size), math.min(tonumber(ends), now + lease)
  if leased[i] > 0 and till[i] <= now then
    -- Nobody has said what became of them: they count as used in the last moment.
    stored, leased[i] = math.max(stored, till[i]) + interval[i] * leased[i], 0
  end
  local back, used, until_then = string.match(ARGV[given + 6], '^(%d+) (%d+) (%d+)$')
  if back and not lost and tonumber(until_then) > now then
    stored = math.max(stored, now) + interval[i] * tonumber(used)
    leased[i] = math.max(0, leased[i] - tonumber(back))
  end

  -- Further ahead than anything this script books means that the clock went back or that the bucket was made smaller.
  empty_at[i] = math.max(now, math.min(stored, now + wait_max + interval[i] * burst[i]))
  local until_room = empty_at[i] - interval[i] * (burst[i] - 1 - leased[i]) - now
  if until_room > wait then
    wait, slowest = until_room, i
  end
end

-- All tokens are booked for the moment when the slowest bucket lets go. A bucket that is further along than that loses
-- what it would have let through until then: more than one token, and one slow pair would starve its whole number.
local booked = ARGV[4] ~= '1' and wait <= tonumber(ARGV[5])
for i = 1, buckets do
  booked = booked and (i == slowest or now + wait - empty_at[i] <= interval[i])
end

-- Before the tokens: a call that its method has no time for takes none. Most methods have no hash, and cost one read.
local method = #KEYS > 1 + 2 * buckets and 7 + 6 * buckets
local time, limit = KEYS[2 + 2 * buckets], KEYS[3 + 2 * buckets]
local window = method and booked and window_of(time, now, ARGV[method + 4])
if window then
  local until_free = wait_for(window, now, limit_of(limit, tonumber(ARGV[method + 3])))
  if until_free > 0 then
    booked, wait, slowest = false, until_free, 0
  else
    local ends = now + wait + CALL
    local seconds = window.each * tonumber(ARGV[method + 2])
    window.calls['c' .. ARGV[method + 1]] = string.format('%.0f %.6f %.0f', ends, seconds, minute_of(now + wait))
    keep(time, window)
  end
end

local answer = {booked and 1 or 0, wait, slowest, birth, booked and window and 1 or 0, string.format('%.0f', now + lease)}
for i = 1, buckets do
  local then_empty, more = empty_at[i], 0
  if ARGV[4] == '1' then
    then_empty = math.max(then_empty, now + interval[i] * burst[i])
  elseif booked then
    then_empty = math.max(then_empty, now + wait) + interval[i]
    if wait == 0 and not window then
      local room = burst[i] * LEASED - (then_empty - now) / interval[i] - leased[i]
      more = math.max(0, math.min(tonumber(ARGV[1 + 6 * i + 5]), math.floor(room * SHARE)))
    end
  end
  if then_empty > now then
    redis.call('SET', KEYS[1 + i], string.format('%.0f', then_empty), 'PX', math.ceil((then_empty - now) / 1000) + 5000)
  end
  if more > 0 then
    leased[i], till[i] = leased[i] + more, now + lease
  end
  local key = KEYS[1 + buckets + i]
  if leased[i] > 0 then
    local of_use = till[i] - now + interval[i] * leased[i] -- for so long it makes a difference whether they were used
    local told = string.format('%.0f %.0f', leased[i], till[i])
    if told ~= kept[1 + buckets + i] then
      redis.call('SET', key, told, 'PX', math.ceil(of_use / 1000) + 5000)
    end
  elseif kept[1 + buckets + i] then
    redis.call('DEL', key)
  end
  answer[5 + 2 * i], answer[6 + 2 * i] = string.format('%.0f', then_empty), more
end
return answer
