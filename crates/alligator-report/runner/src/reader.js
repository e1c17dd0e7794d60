// Uses the page as a reader would, and sends what it found to the test.

const failures = [];
let checks = 0;

function check(is, what) {
  checks += 1;
  if (!is) failures.push(what);
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(is, what, patience = 60000) {
  const start = performance.now();
  while (!is()) {
    if (performance.now() - start > patience) throw new Error(`never: ${what}`);
    await wait(20);
  }
}

const $ = (selector) => document.querySelector(selector);
const page = document.documentElement;
const number = (text) => Number(text.replaceAll(",", ""));

async function goTo(moment) {
  $("#moment").value = moment;
  $("#moment").dispatchEvent(new Event("input"));
  await until(() => Number(page.dataset.settled) === moment, `event ${moment} is shown`);
}

/** The figures that the page has from the report. */
async function figures() {
  const packed = Uint8Array.from(atob($("#figures").textContent), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).json();
}

/** Elements whose text does not fit into them, or that stick out of the window. */
function clipped(view) {
  const found = [];
  const width = view.document.documentElement.clientWidth;
  for (const item of view.document.querySelectorAll("h1, h2, p, dt, dd, li, button, label, select, span")) {
    if (item.closest(".scroll, .box, .uplot, #flame") || item.closest("[hidden]")) continue;
    const box = item.getBoundingClientRect();
    if (box.width === 0) continue;
    if (item.scrollWidth > item.clientWidth + 1 && view.getComputedStyle(item).display !== "inline") found.push(`${item.tagName} "${item.textContent.slice(0, 40)}" does not fit`);
    if (box.right > width + 1 || box.left < -1) found.push(`${item.tagName} "${item.textContent.slice(0, 40)}" sticks out`);
  }
  if (view.document.documentElement.scrollWidth > width) found.push(`the page is ${view.document.documentElement.scrollWidth} wide, the window ${width}`);
  return found;
}

/** Controls that lie over each other. */
function overlapping(view) {
  const boxes = [...view.document.querySelectorAll(".controls button, .controls input, .title select, .title input, .title h2")]
    .map((item) => [item, item.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0);
  const found = [];
  boxes.forEach(([one, a], index) => {
    for (const [other, b] of boxes.slice(index + 1)) {
      if (one.closest("section") !== other.closest("section")) continue;
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) found.push(`${one.id} lies over ${other.id}`);
    }
  });
  return found;
}

function luminance(text) {
  const [r, g, b] = text.match(/[\d.]+/g).map(Number).slice(0, 3).map((value) => {
    const part = value / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function background(item) {
  for (let at = item; at; at = at.parentElement) {
    const found = getComputedStyle(at).backgroundColor;
    if (!/rgba\(.*, 0\)|transparent/.test(found)) return found;
  }
  return "rgb(255, 255, 255)";
}

/** Texts with less contrast than WCAG 2.2 AA asks for. */
function faint() {
  const found = new Set();
  for (const item of document.querySelectorAll("h1, h2, p, dt, dd, span, b, li, button, td, th, label, caption, select")) {
    if (!item.textContent.trim() || item.classList.contains("swatch") || item.getBoundingClientRect().width === 0) continue;
    const pair = [luminance(getComputedStyle(item).color), luminance(background(item))];
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (contrast < 4.5) found.add(`"${item.textContent.slice(0, 30)}" has a contrast of ${contrast.toFixed(2)}`);
  }
  return [...found];
}

/** Colours of the map's picture. */
function mapColours() {
  const canvas = $("#map");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) colours.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  return colours;
}

async function read() {
  await until(() => page.dataset.ready, "the page is ready");
  const ready = performance.now();
  check(page.dataset.ready === "yes", `the page failed: ${$("#failed").textContent}`);
  await until(() => page.dataset.settled, "the first picture");
  const events = Number($("#moment").max);
  check(events > 0, "the slider has no length");
  const peak = Number(page.dataset.settled);
  check(peak > 0 && peak <= events, "the page starts at the peak");

  // The figures of the moment are those of the report, which another program made.
  const shownPeak = $("#now").textContent;
  check($("dl.figures b").textContent === shownPeak.split(" in ")[0], `the peak's bytes: ${shownPeak}`);
  await goTo(events);
  check($("dl.figures div:nth-child(2) b").textContent === $("#now").textContent.split(" in ")[0], `the end's bytes: ${$("#now").textContent}`);
  check($("#when").textContent.startsWith(`event ${events.toLocaleString("en-US")} of`), $("#when").textContent);
  await goTo(0);
  check($("#now").textContent.startsWith("0 B in 0 blocks"), `nothing is live at the start: ${$("#now").textContent}`);
  check($("#flame-note").textContent.startsWith("nothing live"), "the flame graph of nothing");

  // So are those of other moments: ends of the time line's pieces, after blocks taken and blocks given back.
  const { timeline } = await figures();
  for (let step = 0; step < 40; step += 1) {
    const at = Math.floor((timeline.event.length * step) / 40);
    await goTo(timeline.event[at]);
    const bytes = Number($("#now").dataset.bytes);
    check(bytes === timeline.bytes[at], `event ${timeline.event[at]}: ${bytes} bytes, not ${timeline.bytes[at]}`);
  }

  // The map has more colours where more is live, and says what lies under the pointer.
  await goTo(0);
  const empty = mapColours().size;
  await goTo(peak);
  check(mapColours().size > empty + 5, "the map has no more colours at the peak than of an empty heap");
  const map = $("#map");
  const box = map.getBoundingClientRect();
  map.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + 20, clientY: box.top + 5 }));
  check(/^page 0, 0x/.test($("#map-note").textContent), `the map's note: ${$("#map-note").textContent}`);
  map.dispatchEvent(new MouseEvent("click", { clientX: box.left + 20, clientY: box.top + 20 }));
  check(!$("#all-pages").hidden && $("#map-title").textContent.includes("page 0"), "a click opens a page");
  map.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  check(/^page 0, 0x/.test($("#map-note").textContent), "an arrow key moves over the map");
  map.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
  check($("#all-pages").hidden, "Escape shows all pages");
  for (const mode of ["site", "stays", "size"]) {
    $("#mode").value = mode;
    $("#mode").dispatchEvent(new Event("change"));
    check($("#legend").children.length > 1, `the legend of ${mode}`);
  }

  // Keys of the slider.
  $("#moment").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", cancelable: true }));
  await until(() => Number(page.dataset.settled) === peak + 1, "an arrow key goes on by one event");
  check($("#moment").getAttribute("aria-valuetext").includes("blocks"), "the slider says what it shows");

  // The time line.
  const over = $(".u-over");
  const place = over.getBoundingClientRect();
  over.dispatchEvent(new PointerEvent("pointerdown", { clientX: place.left + place.width / 2, clientY: place.top + 20, buttons: 1, bubbles: true }));
  await until(() => Math.abs(Number(page.dataset.settled) - events / 2) < events / 100, "a click on the time line goes there");

  // The table: sorted, filtered, a stack.
  const rows = () => [...document.querySelectorAll("#sites tbody tr[data-site]")];
  check(rows().length === 9, `${rows().length} sites`);
  const cell = (row, column) => row.children[column].textContent;
  $('#sites th[data-column="blocks"] button').click();
  const taken = rows().map((row) => number(cell(row, 1)));
  check(taken.every((value, at) => at === 0 || value <= taken[at - 1]), `sorted by blocks: ${taken}`);
  check($('#sites th[data-column="blocks"]').ariaSort === "descending", "the sorted column says so");
  $('#sites th[data-column="blocks"] button').click();
  const rising = rows().map((row) => number(cell(row, 1)));
  check(rising.every((value, at) => at === 0 || value >= rising[at - 1]), `sorted the other way: ${rising}`);
  $("#filter").value = "json parse_string";
  $("#filter").dispatchEvent(new Event("input"));
  check(rows().length === 2, `${rows().length} sites of json::parse_string`);
  $("#filter").value = "";
  $("#filter").dispatchEvent(new Event("input"));
  const leak = rows().find((row) => row.textContent.includes("cache::remember"));
  check(leak?.querySelector(".tag")?.textContent === "growing", "the growing site is marked");
  leak.querySelector("button").click();
  check($(".frames li code")?.textContent === "alloc::boxed::Box<T>::new", "the stack's innermost function");
  check($("#mode").value === "one", "the map shows the chosen site");
  rows().find((row) => row.textContent.includes("cache::remember")).querySelector("button").click();

  // The flame graph.
  const boxes = () => [...document.querySelectorAll("#flame .box")];
  $("#flame-value").value = "blocks";
  $("#flame-value").dispatchEvent(new Event("change"));
  check(boxes().length > 10, `${boxes().length} boxes`);
  const main = boxes().find((box) => box.title.startsWith("main,"));
  check(main && main.title.includes("100.0 %"), `main has all: ${main?.title}`);
  const before = boxes().length;
  boxes().find((box) => box.title.startsWith("net::receive,")).click();
  check(boxes().length < before && boxes()[0].title.startsWith("game::frame"), "a box zooms");
  boxes().find((box) => box.title.startsWith("all,")).click();
  check(boxes().length === before, "and back");

  // The difference of two moments.
  await goTo(Math.round(events / 4));
  $("#keep").click();
  await goTo(events);
  check($("#mode").value === "difference", "A is kept, and the map shows the difference");
  check($("#legend").textContent.includes("live only now"), "the legend of a difference");
  check($('#sites th[data-column="change"]'), "the table has the difference");
  const change = rows().find((row) => row.textContent.includes("cache::remember")).children[4].textContent;
  check(change.startsWith("+"), `the leak has grown: ${change}`);
  $("#forget").click();
  check($("#mode").value === "size" && $("#forget").hidden, "A is forgotten");

  // The other trace, and the tables that need no script.
  check($("#beside").textContent.includes("peak live"), "the other trace");
  check(document.querySelectorAll(".part").length >= 10, "the tables");

  // Scrubbing, all over the trace.
  const scrubs = [];
  for (let step = 0; step < 60; step += 1) {
    const moment = Math.round((events * ((step * 37) % 60)) / 59);
    $("#moment").value = moment;
    const start = performance.now();
    $("#moment").dispatchEvent(new Event("input"));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    scrubs.push(Number(page.dataset.drawMs));
    if (performance.now() - start > 5000) break;
  }
  scrubs.sort((one, other) => one - other);

  // Text and controls, here and on a phone.
  await goTo(peak);
  for (const fault of [...clipped(window), ...overlapping(window)]) failures.push(`at ${innerWidth}: ${fault}`);
  for (const fault of faint()) failures.push(fault);
  checks += 3;
  const frame = document.createElement("iframe");
  frame.style.cssText = "width: 390px; height: 800px; border: 0";
  frame.src = "/narrow";
  document.body.append(frame);
  await until(() => frame.contentDocument?.documentElement?.dataset.settled, "the page on a phone");
  for (const fault of [...clipped(frame.contentWindow), ...overlapping(frame.contentWindow)]) failures.push(`at 390: ${fault}`);
  checks += 2;
  return { ready, scrubs };
}

let found = { ready: 0, scrubs: [] };
try {
  found = await read();
} catch (error) {
  failures.push(`${error.message} ${error.stack ?? ""}`);
}
await fetch("/found", { method: "POST", body: JSON.stringify({ failures, checks, ...found }) });
