-- What Lua programs do: strings, tables, objects, closures; nothing that needs an error to be caught.
local seed = 42
local function random(limit)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed % limit + 1
end

-- Words counted and sorted.
local counts, letters = {}, "abcdefghijklmnopqrstuvwxyz"
for _ = 1, 30000 do
  local length, word = random(6), {}
  for i = 1, length do
    local at = random(8)
    word[i] = letters:sub(at, at)
  end
  word = table.concat(word)
  counts[word] = (counts[word] or 0) + 1
end
local words = {}
for word in pairs(counts) do words[#words + 1] = word end
table.sort(words, function(a, b)
  if counts[a] ~= counts[b] then return counts[a] > counts[b] end
  return a < b
end)
for i = 1, 5 do print(words[i], counts[words[i]]) end

-- A binary tree of objects with methods, built and dropped many times.
local Tree = {}
Tree.__index = Tree
function Tree.new(depth)
  if depth == 0 then return setmetatable({}, Tree) end
  return setmetatable({ left = Tree.new(depth - 1), right = Tree.new(depth - 1) }, Tree)
end
function Tree:count()
  if not self.left then return 1 end
  return 1 + self.left:count() + self.right:count()
end
local kept = Tree.new(12)
local total = 0
for depth = 4, 12 do
  for _ = 1, 2 ^ (12 - depth) do total = total + Tree.new(depth):count() end
end
print("nodes", kept:count(), total)

-- A text that is searched and rewritten.
local text = {}
for i = 1, 4000 do text[i] = words[i % #words + 1] .. " " .. i end
text = table.concat(text, ", ")
local upper = text:gsub("%a+", function(word) return #word > 3 and word:upper() or nil end)
local digits = 0
for number in upper:gmatch("%d+") do digits = digits + #number end
print("text", #text, #upper, digits)

-- Closures and queues.
local queue, first, last = {}, 1, 0
local sum = 0
for i = 1, 60000 do
  last = last + 1
  queue[last] = function(x) return x + i % 7 end
  if i % 3 == 0 then
    sum = queue[first](sum)
    queue[first] = nil
    first = first + 1
  end
end
print("queue", last - first + 1, sum)

-- Lines formatted and joined piece by piece.
local page = ""
for i = 1, 1500 do page = page .. string.format("%05d;%s;%.3f\n", i, words[i % 50 + 1], i / 7) end
print("page", #page, page:sub(-20, -2))
