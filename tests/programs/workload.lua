-- Closures, coroutines, string formatting, errors caught and rethrown (longjmp), and a busy garbage collector.
-- Prints what it computed; the output must be the same wherever it ran.

local function fold(hash, value)
  return (hash * 31 + value) & 0xffffffffffff
end

local function closures()
  local function counter(step)
    local count = 0
    return function() count = count + step; return count end
  end
  local counters, sum = {}, 0
  for i = 1, 100 do counters[i] = counter(i) end
  for round = 1, 3000 do
    sum = fold(sum, counters[round % 100 + 1]())
  end
  local function compose(f, g) return function(x) return f(g(x)) end end
  local f = function(x) return x + 1 end
  for _ = 1, 100 do f = compose(f, function(x) return (x * 3) & 0xffff end) end
  return sum, f(7)
end

local function coroutines()
  local function producer(n)
    return coroutine.wrap(function()
      for i = 1, n do coroutine.yield(i, i * i) end
      return -1
    end)
  end
  local sum = 0
  for n = 1, 100 do
    for i, square in producer(n) do
      if i < 0 then break end
      sum = fold(sum, square)
    end
  end
  -- A coroutine that resumes a coroutine, deep.
  local function nest(depth)
    if depth == 0 then coroutine.yield("deep") return 0 end
    local inner = coroutine.create(nest)
    local ok, word = coroutine.resume(inner, depth - 1)
    coroutine.yield(word .. depth)
    local _, result = coroutine.resume(inner)
    return (result or 0) + (ok and 1 or 0)
  end
  local outer = coroutine.create(nest)
  local _, word = coroutine.resume(outer, 20)
  return sum, word, coroutine.status(outer)
end

local function formatting()
  local parts = {}
  for i = 1, 4000 do
    parts[#parts + 1] = string.format("%5d|%-8s|%x|%.6g|%q", i, "s" .. i, i * 17, i / 7, "q\n" .. i)
  end
  local text = table.concat(parts, ";")
  local words, sum = 0, 0
  for word in text:gmatch("[%w%.]+") do words = words + 1; sum = fold(sum, #word) end
  local replaced, count = text:gsub("s(%d+)", function(digits) return "<" .. digits:reverse() .. ">" end)
  return #text, words, sum, #replaced, count, text:sub(100, 140)
end

local function errors()
  local function fail(depth)
    if depth == 0 then error({ code = depth }) end
    local ok, problem = pcall(fail, depth - 1)
    if not ok then
      problem.code = problem.code + depth
      error(problem, 0)
    end
  end
  local sum = 0
  for depth = 1, 100 do
    local ok, problem = pcall(fail, depth)
    sum = fold(sum, ok and 1 or problem.code)
  end
  local _, message = pcall(function() local x = nil; return x.field end)
  local _, traced = xpcall(function() error("inside") end, function(m) return "handled: " .. m end)
  local ok, overflow = pcall(function() local function f() return 1 + f() end return f() end)
  -- Errors thrown through coroutines and metamethods.
  local object = setmetatable({}, { __index = function(_, key) error("no " .. key, 0) end })
  local _, missing = coroutine.resume(coroutine.create(function() return object.thing end))
  return sum, message, traced, ok, overflow:match("stack overflow"), missing
end

local function garbage()
  local kept, sum, collected = setmetatable({}, { __mode = "v" }), 0, 0
  for round = 1, 60 do
    local list
    for i = 1, 1500 do list = { value = i, next = list, text = "item " .. i } end
    kept[round] = list
    for node in function(_, at) return at and at.next or (not at and list) or nil end do
      sum = fold(sum, node.value)
      if node.next == nil then break end
    end
    if round % 10 == 0 then
      setmetatable({}, { __gc = function() collected = collected + 1 end })
      collectgarbage()
    end
  end
  collectgarbage()
  local left = 0
  for _ in pairs(kept) do left = left + 1 end
  return sum, left, collected
end

local function numbers()
  local sum = 0.0
  for i = 1, 100000 do sum = sum + math.sin(i) * math.sqrt(i) / (i % 7 + 1) end
  local sorted = {}
  for i = 1, 5000 do sorted[i] = (i * 7919) % 10007 end
  table.sort(sorted, function(a, b) return a % 100 < b % 100 or (a % 100 == b % 100 and a < b) end)
  return string.format("%.9f", sum), sorted[1], sorted[2500], sorted[5000]
end

for round = 1, tonumber(arg and arg[1]) or 1 do
  print("closures", closures())
  print("coroutines", coroutines())
  print("formatting", formatting())
  print("errors", errors())
  print("garbage", garbage())
  print("numbers", numbers())
end
