// What JavaScript programs do: objects, closures, strings, maps, JSON, regular expressions, sorting.
let seed = 7;
const random = (limit) => (seed = (seed * 1103515245 + 12345) % 2147483648) % limit;

const people = [];
for (let i = 0; i < 4000; i++) {
  people.push({ id: i, name: "person " + random(100000), tags: ["a" + random(20), "b" + random(20)], score: random(1000) / 8 });
}
const text = JSON.stringify(people);
const again = JSON.parse(text);
print("json", text.length, again.length, again[17].name);

const byTag = new Map();
for (const person of again) {
  for (const tag of person.tags) {
    if (!byTag.has(tag)) byTag.set(tag, []);
    byTag.get(tag).push(person);
  }
}
const sums = [...byTag].map(([tag, list]) => [tag, list.reduce((sum, person) => sum + person.score, 0)]);
sums.sort((a, b) => b[1] - a[1]);
print("tags", sums.length, sums[0].join(" "));

class Node {
  constructor(depth) {
    this.children = depth === 0 ? [] : [new Node(depth - 1), new Node(depth - 1)];
  }
  count() {
    return this.children.reduce((sum, child) => sum + child.count(), 1);
  }
}
let nodes = 0;
for (let depth = 4; depth <= 11; depth++) {
  for (let i = 0; i < 2 ** (11 - depth); i++) nodes += new Node(depth).count();
}
print("nodes", nodes);

let words = text.match(/[a-z]+ ?\d*/g);
words = words.map((word) => word.replace(/(\d)(\d)/g, "$2$1").toUpperCase());
print("words", words.length, words.slice(0, 4).join(","));

let page = "";
for (let i = 0; i < 5000; i++) page += `${i}: ${words[i % words.length]} is ${(i / 7).toFixed(2)}\n`;
print("page", page.length, page.split("\n").length);

const queue = [];
let sum = 0;
for (let i = 0; i < 30000; i++) {
  queue.push((x) => x + (i % 11));
  if (queue.length > 500) sum = queue.shift()(sum);
}
print("queue", sum);

const big = new Set();
for (let i = 0; i < 20000; i++) big.add("key" + (i * 7919) % 15013);
print("set", big.size);
