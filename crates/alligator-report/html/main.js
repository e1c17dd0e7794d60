// Puts the parts together: one moment is shown in all of them.

const SETTLE_MS = 90;

async function start() {
  const data = await readData();
  const heap = new Heap(data);
  const slider = byId("moment");
  const state = { moment: data.peak.events, base: null, site: null };
  const map = new HeapMap(byId("map"), heap);
  const flame = new Flame(byId("flame"), byId("flame-note"), data);
  const table = new SiteTable(byId("sites"), byId("filter"), byId("more"), data, (site) => {
    state.site = site;
    byId("mode").value = site === null ? "size" : "one";
    draw();
  });
  const timeline = new Timeline(byId("timeline"), heap, (moment) => go(moment));
  const { pagesMost } = heap;
  let settle = 0;
  let frame = 0;

  /** Shows a moment, in the next frame. */
  function go(moment) {
    state.moment = Math.min(Math.max(Math.round(moment), 0), data.events);
    slider.value = state.moment;
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  }

  /** The parts that follow at once. */
  function draw() {
    const begun = performance.now();
    const { moment, base } = state;
    const live = heap.liveAt(moment);
    const mode = byId("mode").value;
    const pagesNow = data.end.pages > 0 ? heap.pagesAt(moment) : pagesMost;
    const showsDifference = mode === "difference" && base !== null;
    let gone = null;
    if (showsDifference) {
      const { born, died } = data.blocks;
      gone = [];
      for (let block = 0; block < firstAbove(born, base); block += 1) {
        if (died[block] > base && (died[block] <= moment || born[block] > moment)) gone.push(block);
      }
    }
    const palette = map.draw({ live, gone, mode: mode === "difference" && !showsDifference ? "size" : mode, site: state.site, base, pages: pagesMost, pagesNow });
    legend(palette);
    figures(live, pagesNow);
    timeline.show(moment, base);
    document.documentElement.dataset.drawMs = (performance.now() - begun).toFixed(1);
    clearTimeout(settle);
    settle = setTimeout(drawSlow, SETTLE_MS);
  }

  /** The parts that follow when the reader has come to rest. */
  function drawSlow() {
    const now = heap.sitesOf(heap.liveAt(state.moment));
    const base = state.base === null ? null : heap.sitesOf(heap.liveAt(state.base));
    table.show(now, base);
    showFlame(now);
    byId("map-note").textContent = map.cursor === null ? data.mapNote : map.describe(map.cursor);
    document.documentElement.dataset.settled = state.moment;
  }

  function showFlame(now) {
    const values = {
      now: () => [now.bytes, bytes, "live at this moment"],
      peak: () => [data.sites.map((site) => site.peak[1]), bytes, "live at the peak"],
      end: () => [data.sites.map((site) => site.end[1]), bytes, "live at the end"],
      bytes: () => [data.sites.map((site) => site.taken[1]), bytes, "taken"],
      blocks: () => [data.sites.map((site) => site.taken[0]), (number) => `${count(number)} blocks`, "taken"],
    };
    flame.show(...values[byId("flame-value").value]());
  }

  function figures(live, pagesNow) {
    const { moment, base } = state;
    const { size } = data.blocks;
    let sum = 0;
    for (const block of live) sum += size[block];
    const bucket = heap.bucketAt(moment);
    const isWhole = data.leftOut === 0 && data.oneIn === 1;
    const when = data.hasTimes ? `, ${duration(heap.timeAt(moment))}` : "";
    byId("now").dataset.bytes = sum;
    byId("when").textContent = `event ${count(moment)} of ${count(data.events)}${when}`;
    const shown = `${bytes(sum)} in ${count(live.length)} blocks`;
    const rough = `about ${bytes(data.timeline.bytes[bucket] ?? 0)} live; the map shows ${shown}`;
    byId("now").textContent = `${isWhole ? `${shown} live` : rough}, ${count(pagesNow)} pages`;
    slider.setAttribute("aria-valuetext", `${byId("when").textContent}, ${byId("now").textContent}`);
    byId("base").textContent = base === null ? "" : `A is event ${count(base)}`;
    byId("forget").hidden = base === null;
  }

  function legend({ colours, names }) {
    const key = names.join("\n");
    const place = byId("legend");
    if (place.dataset.key === key) return;
    place.dataset.key = key;
    place.replaceChildren(
      ...names.map((name, index) => {
        const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
        swatch.style.background = colours[index];
        return element("li", {}, swatch, name);
      }),
    );
  }

  slider.max = data.events;
  slider.addEventListener("input", () => go(Number(slider.value)));
  const jumps = {
    first: () => 0,
    back: () => state.moment - 1,
    next: () => state.moment + 1,
    last: () => data.events,
    peak: () => data.peak.events,
  };
  for (const [id, moment] of Object.entries(jumps)) byId(`go-${id}`).addEventListener("click", () => go(moment()));
  // One event is less than a pixel of the slider: keys go by single events, and by pages.
  const page = Math.max(Math.round(data.events / 50), 1);
  const keys = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -page, PageUp: page };
  slider.addEventListener("keydown", (event) => {
    if (!(event.key in keys)) return;
    event.preventDefault();
    go(state.moment + keys[event.key] * (event.shiftKey ? page : 1));
  });
  byId("keep").addEventListener("click", () => {
    state.base = state.moment;
    byId("mode").value = "difference";
    draw();
  });
  byId("forget").addEventListener("click", () => {
    state.base = null;
    if (byId("mode").value === "difference") byId("mode").value = "size";
    draw();
  });
  byId("mode").addEventListener("change", draw);
  byId("flame-value").addEventListener("change", drawSlow);
  byId("by-time").addEventListener("change", () => timeline.setByTime(byId("by-time").checked));
  byId("by-time").parentElement.hidden = !data.hasTimes;

  const canvas = byId("map");
  canvas.addEventListener("pointermove", (event) => {
    const address = map.addressAt(event);
    if (address !== null) byId("map-note").textContent = map.describe(address);
  });
  canvas.addEventListener("click", (event) => {
    const address = map.addressAt(event);
    if (address === null) return;
    map.cursor = address;
    if (map.page === null) showPage(Math.floor(address / data.pageBytes));
    else draw();
  });
  canvas.addEventListener("keydown", (event) => {
    const { side } = map.drawn.layout;
    const step = map.cellBytes;
    const moves = { ArrowLeft: -step, ArrowRight: step, ArrowUp: -step * side, ArrowDown: step * side, PageUp: -data.pageBytes, PageDown: data.pageBytes };
    if (event.key === "Enter" && map.page === null) showPage(Math.floor((map.cursor ?? 0) / data.pageBytes));
    else if (event.key === "Escape") showPage(null);
    else if (event.key in moves) {
      const start = map.drawn.layout.first * data.pageBytes;
      const end = start + map.drawn.layout.count * data.pageBytes - step;
      map.cursor = map.cursor === null ? start : Math.min(Math.max(map.cursor + moves[event.key], start), end);
      draw();
      byId("map-note").textContent = map.describe(map.cursor);
    } else return;
    event.preventDefault();
  });
  byId("all-pages").addEventListener("click", () => showPage(null));

  function showPage(page) {
    map.page = page;
    byId("all-pages").hidden = page === null;
    byId("map-title").textContent = page === null ? "The heap" : `The heap: page ${count(page)}`;
    draw();
  }

  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    timeline.build();
    draw();
  });
  go(state.moment);
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  byId("failed").hidden = false;
  byId("failed").textContent = `This page needs a browser of 2023 or later: ${error.message}`;
  document.documentElement.dataset.ready = "failed";
});
