-- One token of each of several leaky buckets, or none of any: the generic cell rate algorithm (ITU-T I.371).
-- A key holds when its bucket will be empty, in microseconds since 1970; an empty bucket has no key.
--
-- KEYS     the buckets
-- ARGV[1]  the longest wait that is worth booking
-- ARGV[2]  the time; empty: this server's
-- ARGV[..] of each bucket: the interval between two tokens, and how many may go at once
-- Answers  1 when booked, else 0; the wait; the number of the bucket that asks for it
local clock = redis.call('TIME')
local now = tonumber(ARGV[2]) or (clock[1] * 1000000 + clock[2])
local wait_max = tonumber(ARGV[1])

local empty_at, interval = {}, {}
local wait, slowest = 0, 1
for i, key in ipairs(KEYS) do
  interval[i] = tonumber(ARGV[1 + 2 * i])
  local slack = interval[i] * (tonumber(ARGV[2 + 2 * i]) - 1)
  local stored = tonumber(redis.call('GET', key) or now)
  -- Further ahead than anything this script books means that the clock went back or that the bucket was made smaller.
  empty_at[i] = math.max(now, math.min(stored, now + wait_max + slack + interval[i]))
  if empty_at[i] - slack - now > wait then
    wait, slowest = empty_at[i] - slack - now, i
  end
end

-- All tokens are booked for the moment when the slowest bucket lets go. A bucket that is further along than that loses
-- what it would have let through until then: more than one token, and one slow pair would starve its whole number.
local booked = wait <= wait_max
for i = 1, #KEYS do
  booked = booked and (i == slowest or now + wait - empty_at[i] <= interval[i])
end
if not booked then
  return {0, wait, slowest}
end

for i, key in ipairs(KEYS) do
  local then_empty = math.max(empty_at[i], now + wait) + interval[i]
  redis.call('SET', key, string.format('%.0f', then_empty), 'PX', math.ceil((then_empty - now) / 1000) + 5000)
end
return {1, wait, slowest}
