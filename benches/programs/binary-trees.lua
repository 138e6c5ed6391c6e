-- Allocation and garbage collection.
local function make(depth)
  if depth == 0 then return {} end
  return { make(depth - 1), make(depth - 1) }
end
local function check(tree) return tree[1] and 1 + check(tree[1]) + check(tree[2]) or 1 end

local sum = 0
local long = make(17)
for depth = 4, 16, 2 do
  for _ = 1, 1 << (17 - depth) do sum = sum + check(make(depth)) end
end
print(sum, check(long))
