// A visitor of the page that takes a module: gives it files, waits, and looks at what it shows.
const $ = (id) => document.getElementById(id);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const failures = [];
let checks = 0;
let looked = 0;

function check(holds, what) {
  checks++;
  if (!holds) failures.push(what);
}

async function until(condition, what) {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > 60_000) throw new Error(`waited in vain: ${what}; ${$("status").textContent}; ${$("failed").textContent}`);
    await wait(20);
  }
}

async function give(name, beside = {}) {
  const bytes = await (await fetch(`/modules/${name}`)).arrayBuffer();
  const files = new DataTransfer();
  files.items.add(new File([bytes], name));
  for (const [script, text] of Object.entries(beside)) files.items.add(new File([text], script));
  $("status").textContent = "";
  $("files").files = files.files;
  $("files").dispatchEvent(new Event("change"));
}

const isDone = () => $("status").textContent === "done" || !$("failed").hidden;
const rows = (id) => [...$(id).querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));

async function look(name, beside) {
  const start = performance.now();
  await give(name, beside);
  await until(isDone, name);
  looked = Math.max(looked, performance.now() - start);
  check($("failed").hidden, `${name}: ${$("failed").textContent}`);
}

async function visit() {
  // A bad file: one line, as the command has it.
  await give("bad.wasm");
  await until(isDone, "bad.wasm");
  const line = $("failed").textContent;
  check(/^bad\.wasm: [^\n]+ \(at offset 0x0\)$/.test(line), `a bad file: ${line}`);
  check($("found").hidden && $("running").hidden, "a bad file shows something");

  // std's allocator, with names.
  await look("names.wasm");
  check($("allocator").textContent.startsWith("dlmalloc"), `names: ${$("allocator").textContent}`);
  check(rows("found").some(([, , , , found, sure]) => found === "symbol" && sure.startsWith("confirmed by")), `names: ${rows("found")}`);
  check(rows("bounds").some((row) => row.includes("unbounded")), "dlmalloc has a bound");
  check(/loop/.test($("bounds").textContent), "what stands in the way of dlmalloc is not shown");
  check(rows("change").length === 4, "the bounds of Alligator are not beside it");

  // The same without names: found by its shape, by running it here.
  await look("stripped.wasm");
  check($("allocator").textContent.startsWith("dlmalloc"), `stripped: ${$("allocator").textContent}`);
  check(rows("found").some(([, , , , found, sure]) => found === "shape" && sure.startsWith("confirmed by")), `stripped: ${rows("found")}`);

  // Recorded, run, and reported.
  check($("calls").value === "", "a call with a number was made up");
  $("calls").value = "churn(1000)";
  $("run").click();
  await until(() => $("ending") || !$("failed").hidden, "stripped.wasm, run");
  check($("failed").hidden, `run: ${$("failed").textContent}`);
  check($("ending")?.textContent === "exit status 0", `run: ${$("ending")?.textContent}`);
  const frame = document.querySelector("iframe");
  const html = await (await fetchBlob(frame.src)).text();
  check(html.includes("Heap of stripped.wasm") && html.includes("1,000"), "the report has not the thousand blocks");
  await until(() => frame.contentDocument?.querySelector("main"), "the report is shown");
  check(frame.contentDocument.getElementById("failed").hidden, "the report's page has failed");

  // A WASI program: it runs from its start, and writes.
  await look("program.wasm");
  check($("calls").value === "_start()", `a program: ${$("calls").value}`);
  $("run").click();
  await until(() => $("ending") || !$("failed").hidden, "program.wasm, run");
  check($("ending")?.textContent === "exit status 0", `a program: ${$("ending")?.textContent} ${$("failed").textContent}`);
  check((document.querySelector("#ran pre")?.textContent ?? "").length > 0, "the program has written nothing");

  // Alligator itself: bounded, with the path.
  await look("ours.wasm");
  check($("allocator").textContent.startsWith("Alligator"), `ours: ${$("allocator").textContent}`);
  check(rows("bounds").filter((row) => row.includes("bounded")).length >= 4, `ours: ${rows("bounds").slice(0, 5)}`);
  check(document.querySelectorAll("details.witness").length >= 4, "no path is shown");

  // Cancelled, and used again.
  await give("stripped.wasm");
  await until(() => !$("cancel").hidden, "cancel");
  $("cancel").click();
  check($("status").textContent === "cancelled", "cancel does nothing");
  await wait(300);
  check($("found").hidden, "a cancelled look goes on");
  await look("ours.wasm");

  // No page is wider than a phone.
  check(document.documentElement.scrollWidth <= window.innerWidth, "the page is wider than its window");
}

/** The contents of a blob's address; the page's policy allows no other way. */
function fetchBlob(url) {
  return new Promise((done, failed) => {
    const frame = document.createElement("iframe");
    frame.src = url;
    frame.hidden = true;
    frame.onload = () => done({ text: async () => frame.contentDocument.documentElement.outerHTML });
    frame.onerror = failed;
    document.body.append(frame);
  });
}

try {
  await visit();
} catch (error) {
  failures.push(String(error?.stack ?? error));
}
await fetch("/found", { method: "POST", body: JSON.stringify({ failures, checks, looked }) });
