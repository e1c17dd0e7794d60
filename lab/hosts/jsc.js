// JavaScriptCore's shell: `jsc FLAGS jsc.js -- JOB`. Prints one line of JSON per result.
// `core.js` is put before this.
// Finer than `performance.now`.
const clock = () => preciseTime() * 1e3;

runJob(JSON.parse(readFile(arguments[0])), {
  read: async (path) => readFile(path, 'binary'),
  now: clock,
  collect: fullGC,
  emit: async (result) => {
    result.resolution = resolution(clock);
    print(JSON.stringify(result));
  },
}).catch((error) => print(JSON.stringify({ fatal: String(error) })));
