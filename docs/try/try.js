// The page: takes files, has the worker look at them, and shows what it says. Whatever comes from a module is shown as
// text, never as HTML.

const STAGES = [
  "looking for the allocator",
  "trying out what was found",
  "proving how long a call can take",
  "making the module record its heap",
  "writing the report",
  "running the module",
];

/** A stage in which code of the module runs, and the milliseconds after which it is taken for endless. */
const TRYING = 1;
const TRYING_MS = 20_000;

/** Steps of a path that are shown. */
const STEPS_MAX = 500;

/** Files as long as this are refused: a browser would end the page. */
const BYTES_MAX = 512 << 20;

const $ = (id) => document.getElementById(id);
let worker = null;
let watch = 0;
let given = null;

/** An element with attributes and contents: texts, elements, or lists of them. */
function make(tag, attributes = {}, ...contents) {
  const element = document.createElement(tag);
  Object.assign(element, attributes);
  element.append(...contents.flat());
  return element;
}

const number = (value) => (value === null || value === undefined ? "–" : value.toLocaleString("en"));

function table(head, rows) {
  const cell = (value) =>
    typeof value === "number"
      ? make("td", { className: "number" }, number(value))
      : make("td", {}, value ?? "–");
  const body = rows.map((row) => make("tr", {}, row.map(cell)));
  const heads = make("tr", {}, head.map((text) => make("th", { scope: "col" }, text)));
  return make("div", { className: "table" }, make("table", {}, make("thead", {}, heads), make("tbody", {}, body)));
}

function show(id, ...contents) {
  const section = $(id);
  section.replaceChildren(...contents.flat());
  section.hidden = contents.length === 0;
}

function fail(line) {
  $("failed").textContent = line;
  $("failed").hidden = false;
}

/** Ends what is being done. */
function stop(status) {
  worker?.terminate();
  worker = null;
  clearTimeout(watch);
  $("cancel").hidden = $("progress").hidden = true;
  $("run").disabled = false;
  $("status").textContent = status;
}

function clear() {
  $("failed").hidden = true;
  for (const id of ["found", "bounds", "change"]) show(id);
  $("running").hidden = true;
  $("ran").replaceChildren();
}

/** Has a new worker look at what was given, and run `calls`, if there are some. */
function work(calls, runs = 1) {
  stop("starting the tools");
  $("failed").hidden = true;
  $("cancel").hidden = $("progress").hidden = false;
  $("run").disabled = true;
  worker = new Worker("worker.js", { type: "module" });
  worker.onerror = (event) => {
    stop("");
    fail(`the tools have stopped: ${event.message ?? "no reason is given"}`);
  };
  worker.onmessage = ({ data }) => {
    clearTimeout(watch);
    if (data.stage !== undefined) {
      $("status").textContent = STAGES[data.stage];
      // Code that is tried may never end, and nobody in the worker can stop it.
      if (data.stage === TRYING && runs) {
        watch = setTimeout(() => {
          work(calls, 0);
          $("status").textContent = "a call does not end: again, without trying anything out";
        }, TRYING_MS);
      }
    } else if (data.proved) {
      showBounds(data.proved);
      showChange(data.heap, data.proved);
    } else if (data.heap) {
      showFound(data.heap, runs);
      showRunning(data);
    } else if (data.ran) {
      showRan(data.ran);
    } else if (data.failed) {
      stop("");
      fail(data.failed);
    } else if (data.done) {
      stop("done");
    }
  };
  worker.postMessage({ ...given, calls, runs });
}

async function take(files) {
  clear();
  stop("");
  const all = [...files];
  const module = all.find(({ name }) => name.endsWith(".wasm")) ?? all.find(({ name }) => !/\.[cm]?js$/.test(name));
  if (!module) return fail("there is no .wasm file among these");
  if (module.size > BYTES_MAX) return fail(`${module.name}: more than a page can hold`);
  const scripts = all.filter((file) => file !== module);
  given = {
    name: module.name,
    module: await module.arrayBuffer(),
    scripts: await Promise.all(scripts.map((file) => file.arrayBuffer())),
  };
  work(null);
}

function sure({ confirmed, doubt }) {
  if (confirmed !== null) return `confirmed by ${confirmed} calls`;
  return doubt === null ? "not tried" : `not confirmed: ${doubt}`;
}

function showFound(heap, runs) {
  const contents = [make("h2", {}, "Its allocator")];
  const name = make("strong", { id: "allocator" }, heap.allocator.name);
  if (heap.outcome === "found") contents.push(make("p", {}, name));
  else if (heap.outcome === "no_heap") contents.push(make("p", {}, "This module has no heap: nothing in it grows memory or has an allocator's name."));
  else contents.push(make("p", {}, "No allocator was found, although memory grows."));
  if (heap.functions.length > 0) {
    const rows = heap.functions.map((one) => [
      one.role,
      make("code", {}, one.name),
      one.function,
      one.parameters.join(", "),
      one.found,
      sure(one),
    ]);
    contents.push(table(["does", "function", "index", "parameters", "found by", "how sure"], rows));
  }
  if (!runs) contents.push(make("p", {}, "A call did not end, so nothing was tried out: what is found by shape alone is missing."));
  contents.push(...heap.allocator.evidence.map((line) => make("p", {}, line)));
  contents.push(...heap.notes.map((line) => make("p", {}, `Note: ${line}`)));
  show("found", contents);
}

function bound(figure) {
  if (!figure) return "–";
  if (figure.bound === null) return "none";
  return figure.exact ? figure.bound : `at most ${number(figure.bound)}, loosely`;
}

function showBounds({ bound: report, why_not: whyNot }) {
  const contents = [make("h2", {}, "Its worst case")];
  if (!report) {
    show("bounds", contents, make("p", {}, `Nothing is proved: ${whyNot}`));
    return;
  }
  const rows = report.entries.map((entry) => [
    entry.role ?? "",
    make("code", {}, entry.name),
    entry.verdict,
    bound(entry.without_growth),
    bound(entry.with_growth),
  ]);
  contents.push(make("p", {}, "The longest path of one call, in instructions, proved on the code; the host's time for growth is not in it. The command alligator bound searches ten times as long, and may find a tighter one."));
  contents.push(table(["does", "function", "verdict", "at most", "with growth"], rows));
  for (const entry of report.entries) {
    const label = `${entry.role ?? ""} ${entry.name}`.trim();
    if (entry.obstacles.length > 0) {
      const lines = entry.obstacles.slice(0, 50).map((one) =>
        make("li", {}, `${one.reason}, at 0x${one.offset.toString(16)} in `, make("code", {}, one.function)));
      contents.push(make("details", {}, make("summary", {}, `What stands in the way of ${label}: ${entry.obstacles.length}`), make("ul", {}, lines)));
    }
    const steps = entry.without_growth?.witness ?? [];
    if (steps.length > 0) {
      const lines = steps.slice(0, STEPS_MAX).map((step) => [
        step.cost,
        make("code", {}, `${"  ".repeat(Math.min(step.depth, 20))}${step.function}`),
        `0x${step.offset.toString(16)}`,
        step.event,
      ]);
      const more = steps.length > STEPS_MAX ? `, the first ${STEPS_MAX} of ${steps.length} steps` : "";
      contents.push(make("details", { className: "witness" }, make("summary", {}, `The longest path of ${label}${more}`), table(["instructions so far", "function", "at", "what happens"], lines)));
    }
  }
  contents.push(...report.notes.map((line) => make("p", {}, `Note: ${line}`)));
  show("bounds", contents);
}

function showChange(heap, { bound: report, ours }) {
  if (heap.outcome !== "found") return show("change");
  const isOurs = heap.allocator.name.startsWith("Alligator");
  const its = (operation) => {
    const entries = (report?.entries ?? []).filter((entry) => entry.role === operation);
    return entries.length === 0 ? null : bound(entries[0].without_growth);
  };
  const rows = ours.map((one) => [one.operation, its(one.operation), Number(one.bound)]);
  show("change", [
    make("h2", {}, "What Alligator would change"),
    make("p", {}, isOurs ? "It is on Alligator already. Beside its bounds here are those that the project records:" : "The same operations on Alligator, as they are proved in the project's record: instructions of one call that does not grow the memory, at most."),
    table(["operation", "this module", "Alligator"], rows),
  ]);
}

/** What can be called without knowing the program: its start, or what takes no parameters. */
function showRunning({ heap, exports, imports }) {
  const canBe = heap.outcome === "found" && heap.module === null;
  $("running").hidden = !canBe;
  const start = exports.find(({ name }) => name === "_start");
  const simple = exports.filter(({ name, parameters }) => parameters.length === 0 && !name.startsWith("__"));
  $("calls").value = start ? "_start()" : simple.length === 1 ? `${simple[0].name}()` : "";
  const others = [...new Set(imports)].filter((name) => name !== "wasi_snapshot_preview1");
  const names = exports.map(({ name, parameters }) => `${name}(${parameters.join(", ")})`);
  $("can-run").replaceChildren(
    start && others.length === 0 ? "It is a WASI program, and can run here. " : "Say what is to be called. ",
    others.length > 0 ? `It imports from ${others.join(", ")}, which does nothing here: it may stop early. ` : "",
    make("details", {}, make("summary", {}, `${exports.length} functions are exported`), make("code", {}, names.join(" "))),
  );
}

function showRan({ html, ending, output, results }) {
  const url = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  $("ran").replaceChildren(
    make("p", { id: "ending" }, ending),
    ...results.map((line) => make("p", {}, make("code", {}, line))),
    ...(output ? [make("p", {}, "It wrote:"), make("pre", {}, output)] : []),
    make("p", {}, make("a", { href: url, download: `${given.name}.heap.html` }, "Keep this report")),
    make("iframe", { src: url, title: "What its heap did" }),
  );
}

function callsOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [, name, numbers] = /^([^(]+)(?:\((.*)\))?$/.exec(line) ?? [];
    if (!name) throw new Error(`this is no call: ${line}`);
    const values = (numbers ?? "").split(",").map((value) => value.trim()).filter(Boolean);
    if (!values.every((value) => /^-?(\d+|0x[\da-f]+)$/i.test(value))) throw new Error(`only whole numbers can be given: ${line}`);
    return { name: name.trim(), values };
  });
}

$("run").onclick = () => {
  try {
    const calls = callsOf($("calls").value);
    if (calls.length === 0) throw new Error("say what is to be called");
    work(calls);
  } catch (error) {
    fail(error.message);
  }
};
$("cancel").onclick = () => stop("cancelled");
$("files").onchange = ({ target }) => target.files.length > 0 && take(target.files);
const drop = $("drop");
drop.ondragover = (event) => {
  event.preventDefault();
  drop.classList.add("over");
};
drop.ondragleave = () => drop.classList.remove("over");
drop.ondrop = (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  take(event.dataTransfer.files);
};
