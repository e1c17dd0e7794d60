// Asks the index from Node.js: node run.mjs
import { createRequire } from "node:module";

const { WordIndex, reserve } = createRequire(import.meta.url)("./pkg/word_index.js");
if (!reserve(1 << 20)) throw new Error("no memory");
const index = new WordIndex("a rose is a rose is a rose");
console.log("rose:", index.places("rose").join(" "));
console.log("r..:", index.starting_with("r").join(" "));
