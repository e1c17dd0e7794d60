// The course of the heap: live bytes and memory, with marks, growths and the moment that is shown.

/** A colour of the style sheet. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

class Timeline {
  /** `choose` is called with a moment when the reader points at one. */
  constructor(place, heap, choose) {
    this.place = place;
    this.heap = heap;
    this.choose = choose;
    this.byTime = false;
    this.moment = 0;
    this.base = null;
    this.build();
    new ResizeObserver(() => this.resize()).observe(place);
    place.addEventListener("pointerdown", (event) => this.pointed(event));
    place.addEventListener("pointermove", (event) => {
      if (event.buttons & 1) this.pointed(event);
    });
  }

  /** Shows time instead of events, or events again. */
  setByTime(byTime) {
    this.byTime = byTime;
    this.build();
  }

  show(moment, base) {
    this.moment = moment;
    this.base = base;
    this.plot.redraw(false);
  }

  /** Where a moment is on the axis: its number, or its time in seconds. */
  placeOf(moment) {
    return this.byTime ? this.heap.timeAt(moment) / 1e9 : moment;
  }

  pointed(event) {
    const over = this.plot.over.getBoundingClientRect();
    if (event.target !== this.plot.over && !this.plot.over.contains(event.target)) return;
    const value = this.plot.posToVal(event.clientX - over.left, "x");
    this.choose(this.byTime ? this.heap.momentAt(value * 1e9) : Math.round(value));
  }

  size() {
    return { width: Math.max(this.place.clientWidth, 200), height: 240 };
  }

  resize() {
    this.plot.setSize(this.size());
  }

  build() {
    const { timeline, pageBytes, other } = this.heap.data;
    const moments = [0, ...timeline.event];
    const last = moments[moments.length - 1];
    const xs = moments.map((moment) => this.placeOf(moment));
    const end = xs[xs.length - 1];
    const values = [
      xs,
      [0, ...timeline.peak],
      [this.heap.data.firstPages, ...timeline.pages].map((pages) => pages * pageBytes),
    ];
    const line = (name) => () => colour(name);
    const series = [
      {},
      { label: "live bytes", stroke: line("--live"), fill: line("--live-fill"), width: 1.5, points: { show: false } },
      { label: "memory", stroke: line("--memory"), width: 1.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) },
    ];
    if (other) {
      // The other trace, stretched to the length of this one.
      const length = other.event[other.event.length - 1] || 1;
      values.push(moments.map((moment) => between([0, ...other.event], [0, ...other.peak], (moment * length) / (last || 1))));
      series.push({ label: "live, before", stroke: line("--other"), dash: [5, 4], width: 1.5, points: { show: false } });
    }
    this.plot?.destroy();
    const axis = { stroke: line("--muted"), grid: { stroke: line("--line"), width: 1 }, ticks: { stroke: line("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const tick = (value) => (this.byTime ? duration(value * 1e9) : end >= 1e5 ? compact(value) : count(value));
    this.plot = new uPlot(
      {
        ...this.size(),
        cursor: { drag: { x: false, y: false }, points: { show: false }, y: false },
        legend: { show: false },
        scales: { x: { time: false, range: [0, end || 1] }, y: { range: (_, _low, high) => [0, (high || 1) * 1.08] } },
        axes: [
          { ...axis, values: (_, ticks) => ticks.map(tick), space: 80 },
          { ...axis, values: (_, ticks) => ticks.map((value) => bytes(value)), size: 76, incrs: steps() },
        ],
        series,
        hooks: { draw: [(plot) => this.drawLines(plot)] },
      },
      values,
      this.place,
    );
  }

  drawLines(plot) {
    const { ctx, bbox } = plot;
    const line = (moment, name, width, dash = [], part = 1) => {
      const x = Math.round(plot.valToPos(this.placeOf(moment), "x", true));
      ctx.beginPath();
      ctx.setLineDash(dash);
      ctx.strokeStyle = colour(name);
      ctx.lineWidth = width * devicePixelRatio;
      ctx.moveTo(x, bbox.top + bbox.height * (1 - part));
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    };
    ctx.save();
    const { marks, peak } = this.heap.data;
    const places = marks.flatMap((mark) => mark.places);
    // Ticks at the foot, and no more of them than can be told apart.
    const step = Math.ceil((places.length * 8 * devicePixelRatio) / bbox.width);
    places.forEach(([moment], index) => {
      if (index % step === 0) line(moment, "--mark", 1, [], 0.06);
    });
    line(peak.events, "--peak", 1, [6, 3]);
    if (this.base !== null) line(this.base, "--base", 2);
    line(this.moment, "--accent", 2);
    ctx.restore();
  }
}

/** Distances between ticks of bytes: powers of two, so that labels are round. */
function steps() {
  return Array.from({ length: 60 }, (_, power) => 2 ** power);
}

/** A large number in few characters. */
function compact(number) {
  return new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 2 }).format(number);
}
