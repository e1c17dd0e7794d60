-- What Lua programs do that allocates: objects, strings, closures. Nothing here needs an error to be caught.
local seed = 42
local function random(limit)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed // 65536 % limit + 1
end

-- A binary tree of objects with methods, built and dropped many times, beside one that stays.
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
local kept = Tree.new(13)
local total = 0
for depth = 4, 13 do
  for _ = 1, 2 ^ (14 - depth) do total = total + Tree.new(depth):count() end
end
print("nodes", kept:count(), total)

-- Records with strings in them; most live a while, and then others take their place.
local records = {}
for i = 1, 120000 do
  local name = "record " .. random(1000000)
  records[random(5000)] = { name = name, tags = { "tag " .. random(100), i }, size = #name * i }
end
local count, sizes = 0, 0
for _, record in pairs(records) do
  count = count + 1
  sizes = sizes + record.size % 1000 + #record.tags[1]
end
print("records", count, sizes)

-- Closures in a queue.
local queue, first, last, sum = {}, 1, 0, 0
for i = 1, 150000 do
  last = last + 1
  queue[last] = function(x) return x + i % 7 end
  if i % 8 ~= 0 then
    sum = queue[first](sum)
    queue[first] = nil
    first = first + 1
  end
end
print("queue", last - first + 1, sum)

-- A text that is taken apart, rewritten and joined.
local words = {}
for i = 1, 20000 do words[i] = string.char(96 + random(26), 96 + random(26), 96 + random(26)) .. i end
local text = table.concat(words, " ")
local longer = text:gsub("%a+", function(word) return word .. "-" .. #word end)
local pieces = {}
for piece in longer:gmatch("%S+") do pieces[#pieces + 1] = piece:sub(2) .. ";" end
print("text", #text, #longer, #table.concat(pieces))
