// What JavaScript programs do that allocates: objects, closures, strings, maps, JSON.
let seed = 7;
const random = (limit) => (seed = (seed * 1103515245 + 12345) % 2147483648) % limit;

class Node {
  constructor(depth) {
    this.left = depth === 0 ? null : new Node(depth - 1);
    this.right = depth === 0 ? null : new Node(depth - 1);
  }
  count() {
    return this.left === null ? 1 : 1 + this.left.count() + this.right.count();
  }
}
const kept = new Node(12);
let nodes = 0;
for (let depth = 4; depth <= 12; depth++) {
  for (let i = 0; i < 2 ** (14 - depth); i++) nodes += new Node(depth).count();
}
print("nodes", kept.count(), nodes);

const people = [];
for (let i = 0; i < 60000; i++) {
  people[random(4000)] = { id: i, name: "person " + random(100000), tags: ["a" + random(20), "b" + random(20)], at: { x: i, y: -i } };
}
const text = JSON.stringify(people);
const again = JSON.parse(text);
print("json", text.length, again.length, again.filter((person) => person && person.at.x > 30000).length);

const byTag = new Map();
for (const person of again) {
  if (!person) continue;
  for (const tag of person.tags) {
    if (!byTag.has(tag)) byTag.set(tag, []);
    byTag.get(tag).push({ ...person, tag });
  }
}
const sums = [...byTag].map(([tag, list]) => [tag, list.reduce((sum, person) => sum + person.id, 0)]);
sums.sort((a, b) => b[1] - a[1]);
print("tags", sums.length, sums[0].join(" "));

const queue = [];
let first = 0, sum = 0;
for (let i = 0; i < 100000; i++) {
  queue.push((x) => x + (i % 11));
  if (i % 8 !== 0) {
    sum = queue[first](sum);
    queue[first++] = undefined;
  }
}
print("queue", queue.length - first, sum);

const words = text.split('"').map((word) => word.toUpperCase() + ";");
print("words", words.length, words.join("").length);
