-- Formatting, matching and replacing.
local parts, found = {}, 0
for i = 1, 300000 do
  parts[i] = string.format("%d:%s-%x", i, ("ab"):rep(i % 7), i * 31)
end
local text = table.concat(parts, ",")
for number, hex in text:gmatch("(%d+):%a*%-(%x+)") do found = found + #number + #hex end
local replaced, count = text:gsub("ab(%-)", "%1"):upper(), 0
for _ in replaced:gmatch("A[^,]*C") do count = count + 1 end
print(#text, found, #replaced, count, text:find("299999", 1, true))
