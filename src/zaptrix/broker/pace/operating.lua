-- The run time that one method of one portal has used, as Bitrix24 counts it: ten one-minute parts, and calls up to
-- 0.1 s for nothing. https://apidocs.bitrix24.com/limits.html
-- A hash, and only of a method that came near: 'p<minute>' seconds used, 'c<call>' what is reserved for a call under
-- way ("until seconds minute"), 'each' what an item costs at most, 'told' the portal's time of the latest answer.
local PART, PARTS = 60000000, 10
-- The portal's minutes need not begin with ours: a part is given back so much later than it could be.
local GUARD = 2000000
-- A call that has not answered by then never will; it may have run, so what was reserved for it counts as used.
local CALL = 90000000
local KEPT_S = 720

local function minute_of(at)
  return math.floor(at / PART)
end

-- What is known, or nil. `remembered` is what the caller was told last, should Redis have forgotten.
local function window_of(key, now, remembered)
  local window = {parts = {}, calls = {}, used = 0, reserved = 0, each = 0, told = 0}
  local fields = redis.call('HGETALL', key)
  if #fields == 0 then
    if remembered == '' then
      return nil
    end
    for word in string.gmatch(remembered, '%S+') do
      fields[#fields + 1] = word
    end
  end
  local oldest = minute_of(now - GUARD) - PARTS + 1
  local function count(minute, seconds)
    if minute >= oldest then
      window.parts[minute] = (window.parts[minute] or 0) + seconds
      window.used = window.used + seconds
    end
  end
  for i = 1, #fields, 2 do
    local name, value = fields[i], fields[i + 1]
    local kind = string.sub(name, 1, 1)
    if kind == 'p' then
      count(tonumber(string.sub(name, 2)), tonumber(value))
    elseif kind == 'c' then
      local till, seconds, minute = string.match(value, '^(%S+) (%S+) (%S+)$')
      if tonumber(till) < now then
        count(tonumber(minute), tonumber(seconds))
      else
        window.calls[name] = value
        window.reserved = window.reserved + tonumber(seconds)
      end
    else
      window[name] = tonumber(value)
    end
  end
  return window
end

local function limit_of(key, most)
  return math.min(most, tonumber(redis.call('GET', key)) or most)
end

-- Seconds (in microseconds) until a call may begin; 0: now. The portal refuses a call that begins when the time is used
-- up, however long the one before it took: what counts is the time at the beginning.
local function wait_for(window, now, limit)
  local over = window.used + window.reserved - limit
  if over < -0.001 then
    return 0
  end
  local minutes = {}
  for minute in pairs(window.parts) do
    minutes[#minutes + 1] = minute
  end
  table.sort(minutes)
  local freed = 0
  local at = now + 1000000
  for _, minute in ipairs(minutes) do
    if window.reserved > 0 and window.used < limit - 0.001 then
      break -- a call under way will cost less than was reserved for it, or not
    end
    freed = freed + window.parts[minute]
    at = (minute + PARTS) * PART + GUARD
    if freed > window.used - limit + 0.001 then
      break
    end
  end
  return math.max(1000, at - now)
end

local function keep(key, window)
  local fields = {'each', string.format('%.6f', window.each), 'told', string.format('%.6f', window.told)}
  for minute, seconds in pairs(window.parts) do
    fields[#fields + 1] = 'p' .. string.format('%.0f', minute)
    fields[#fields + 1] = string.format('%.6f', seconds)
  end
  local remembered = table.concat(fields, ' ')
  for name, value in pairs(window.calls) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  redis.call('DEL', key)
  redis.call('HSET', key, unpack(fields))
  redis.call('EXPIRE', key, KEPT_S)
  return remembered
end
