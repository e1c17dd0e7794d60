// V8, in node: `node FLAGS node.js JOB`. Prints one line of JSON per result. `core.js` is put
// before this.
const fs = require('fs');

const started = performance.now();
runJob(JSON.parse(fs.readFileSync(process.argv[2], 'utf8')), {
  read: async (path) => new Uint8Array(fs.readFileSync(path)),
  now: () => performance.now() - started,
  collect: () => globalThis.gc && globalThis.gc(),
  emit: async (result) => {
    result.resolution = resolution(() => performance.now() - started);
    fs.writeSync(1, JSON.stringify(result) + '\n');
  },
});
