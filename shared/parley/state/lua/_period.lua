-- The calendar of budgets, in UTC: a minute, an hour, a day, a week (from Monday), a month, or all time (`total`).
local MINUTES = { minute = 1, hour = 60, day = 1440, week = 10080 }
local BEFORE = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 } -- days of the year before each month

-- Days from 1970-01-01 to the first day of a month, which is counted from the year 0.
local function days_before(month)
  local year, of_year = math.floor(month / 12), month % 12 + 1
  local last = of_year > 2 and year or year - 1 -- whose leap day is behind us
  local leaps = math.floor(last / 4) - math.floor(last / 100) + math.floor(last / 400)
  return 365 * (year - 1970) + leaps - 477 + BEFORE[of_year]
end

-- The number of the period that the moment `at` is in, and the moment at which that ends.
local function period(kind, at)
  if kind == 'total' then return 0, math.huge end
  if kind == 'month' then
    local day = math.floor(at / DAY)
    local month = 1970 * 12 + math.floor(day / 30.5) -- or a later one
    while days_before(month + 1) <= day do month = month + 1 end
    return month, days_before(month + 1) * DAY
  end
  local length = MINUTES[kind] * 60000
  local shift = kind == 'week' and 3 * DAY or 0 -- the first of January 1970 was a Thursday
  local number = math.floor((at + shift) / length)
  return number, (number + 1) * length - shift
end
