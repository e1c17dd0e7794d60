// Draws the lab's report from the data in the page: sortable tables, and plots as inline SVG.
'use strict';

const { results, derived, cPrograms } = JSON.parse(document.getElementById('data').textContent);
const main = document.getElementById('main');
const OURS = 'alligator';
const PAGE_BYTES = 65536;

// Colours that differ in lightness as well as in hue, and are read on light and dark paper.
const PALETTE = [
  '#0b9e58', '#6cc04a', '#a3b800', '#d1495b', '#3a7bd5', '#e08e1b', '#b5740f', '#8e5bd0',
  '#5f7f95', '#2aa7b5', '#c2579a', '#8a8f8c', '#a9a9a0',
];
const allocators = results.allocators.map((info, index) => ({
  ...info,
  colour: PALETTE[index % PALETTE.length],
  // What never frees, or holds a fixed arena, would press all others to the floor of the plots.
  shown: info.reclaims && !(derived.rows[index]?.footprint > 10),
}));
const byName = new Map(allocators.map((info) => [info.name, info]));
byName.set('control', { name: 'control', colour: '#8a8f8c', shown: true, kind: 'control' });

// ---- Small helpers ----------------------------------------------------------------------------

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null));
  return node;
}

function shape(tag, attributes = {}, text) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function number(value, digits = 0) {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  while (value >= 1024 && unit < 3) { value /= 1024; unit += 1; }
  return `${number(value, unit && value < 10 ? 1 : 0)} ${units[unit]}`;
}

function nanoseconds(value) {
  if (value >= 1e6) return `${number(value / 1e6, value < 1e7 ? 1 : 0)} ms`;
  if (value >= 1e3) return `${number(value / 1e3, value < 1e4 ? 1 : 0)} µs`;
  return `${number(value, value < 10 ? 1 : 0)} ns`;
}

function titled(info) {
  return info.version ? `${info.name} ${info.version}` : info.name;
}

const sections = [];
function section(id, title, ...notes) {
  const node = element('section', { id }, element('h2', {}, title));
  for (const note of notes) node.append(element('p', { class: 'note' }, note));
  main.append(node);
  sections.push({ id, title });
  return node;
}

const tip = element('div', { id: 'tip', role: 'status' });
document.body.append(tip);
function explain(node, text) {
  node.append(shape('title', {}, text));
  node.addEventListener('pointermove', (event) => {
    tip.textContent = text;
    tip.style.display = 'block';
    const left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${event.clientY + 16}px`;
  });
  node.addEventListener('pointerleave', () => { tip.style.display = 'none'; });
}

/** A table that is sorted by a click on a heading. A cell: { text, value, class } or a string. */
function table(headings, rows) {
  const body = element('tbody');
  const head = element('tr');
  const draw = (list) => body.replaceChildren(...list.map(({ cells, kind }) =>
    element('tr', { class: kind }, ...cells.map((cell) =>
      element('td', { class: cell.class }, String(cell.text ?? cell))))));
  headings.forEach((heading, column) => {
    const { text, left, title } = typeof heading === 'string' ? { text: heading } : heading;
    const cell = element('th', { scope: 'col', tabindex: 0, class: left ? 'left' : undefined, title }, text);
    const sort = () => {
      const up = cell.getAttribute('aria-sort') !== 'ascending';
      for (const other of head.children) other.removeAttribute('aria-sort');
      cell.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const value = (row) => row.cells[column].value ?? row.cells[column].text ?? row.cells[column];
      const missing = (item) => item === null || item === undefined || item === '–';
      draw([...rows].sort((left, right) => {
        const [a, b] = [value(left), value(right)];
        if (missing(a) || missing(b)) return missing(a) - missing(b);
        const order = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
        return up ? order : -order;
      }));
    };
    cell.addEventListener('click', sort);
    cell.addEventListener('keydown', (event) => { if (event.key === 'Enter') sort(); });
    head.append(cell);
  });
  draw(rows);
  return element('div', { class: 'scroll' }, element('table', {}, element('thead', {}, head), body));
}

/** Cells of numbers; the best, or what equals it when written, is marked. */
function cells(values, digits, names) {
  const counts = (name) => byName.get(name)?.kind !== 'yardstick' && byName.get(name)?.reclaims;
  const reclaiming = values.filter((value, index) => Number.isFinite(value) && (!names || counts(names[index])));
  const best = Math.min(...reclaiming);
  return values.map((value) => ({
    text: number(value, digits),
    value: value ?? null,
    class: number(value, digits) === number(best, digits) ? 'best' : undefined,
  }));
}

function select(label, options, onChange) {
  const node = element('select', { 'aria-label': label });
  for (const { value, text } of options) node.append(element('option', { value }, text));
  node.addEventListener('change', () => onChange(node.value));
  return element('label', {}, `${label} `, node);
}

// ---- Plots ------------------------------------------------------------------------------------

const redraws = [];
function plot(parent, draw) {
  const figure = element('figure');
  parent.append(figure);
  const redraw = () => {
    const width = Math.max(320, Math.min(1180, figure.clientWidth || 800));
    figure.replaceChildren(...draw(width));
  };
  redraws.push(redraw);
  redraw();
  return redraw;
}
let pending;
addEventListener('resize', () => {
  clearTimeout(pending);
  pending = setTimeout(() => redraws.forEach((redraw) => redraw()), 150);
});

function canvas(width, height, label) {
  return shape('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label });
}

/** Buttons that show and hide allocators in all plots. */
function legend(parent) {
  const node = element('div', { class: 'controls' });
  for (const info of allocators) {
    const swatch = element('span', { class: 'swatch', style: `background:${info.colour}` });
    const button = element('button', { type: 'button', 'aria-pressed': info.shown }, swatch, info.name);
    button.addEventListener('click', () => {
      info.shown = !info.shown;
      for (const other of document.querySelectorAll(`[data-allocator="${info.name}"]`)) {
        other.setAttribute('aria-pressed', info.shown);
      }
      redraws.forEach((redraw) => redraw());
    });
    button.dataset.allocator = info.name;
    node.append(button);
  }
  parent.append(node);
}

/** Round numbers that divide an axis: powers of ten if it is logarithmic. */
function ticks(low, high, log) {
  if (log) {
    const decades = Math.ceil(Math.log10(high / low));
    const steps = decades > 3 ? [1] : decades > 1 ? [1, 3] : [1, 2, 5];
    const list = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const step of steps) {
        const value = step * 10 ** power;
        if (value >= low * 0.999 && value <= high * 1.001) list.push(value);
      }
    }
    return list;
  }
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const list = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) list.push(value);
  return list;
}

/** Lines over two axes. series: [{ name, colour, points: [[x, y]], step, ours }] */
function lines(width, { series, xLabel, yLabel, logX, logY, formatX, formatY, unitY = 1, height = 340, label }) {
  const left = 80, right = 14, top = 26, bottom = 44;
  const svg = canvas(width, height, label);
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) return element('p', { class: 'note' }, 'Nothing to show.');
  const range = (axis, log) => {
    const values = points.map((point) => point[axis]).filter((value) => !log || value > 0);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return log ? [low, Math.max(high, low * 1.5)] : [0, high * 1.04 || 1];
  };
  const [x0, x1] = range(0, logX);
  const [y0, y1] = range(1, logY);
  const scale = (value, low, high, log) => log
    ? Math.log(Math.max(value, low) / low) / Math.log(high / low)
    : (value - low) / (high - low);
  const x = (value) => left + scale(value, x0, x1, logX) * (width - left - right);
  const y = (value) => height - bottom - scale(value, y0, y1, logY) * (height - top - bottom);
  for (const value of ticks(y0 / unitY, y1 / unitY, logY).map((tick) => tick * unitY)) {
    svg.append(shape('line', { class: 'grid', x1: left, x2: width - right, y1: y(value), y2: y(value) }));
    svg.append(shape('text', { class: 'axis', x: left - 6, y: y(value) + 4, 'text-anchor': 'end' }, formatY(value)));
  }
  let last = -Infinity;
  for (const value of ticks(x0, x1, logX)) {
    if (x(value) - last < 48) continue;
    last = x(value);
    svg.append(shape('line', { class: 'grid', y1: top, y2: height - bottom, x1: x(value), x2: x(value) }));
    svg.append(shape('text', { class: 'axis', x: x(value), y: height - bottom + 16, 'text-anchor': 'middle' }, formatX(value)));
  }
  svg.append(shape('text', { class: 'axis', x: (left + width - right) / 2, y: height - 6, 'text-anchor': 'middle' }, xLabel));
  svg.append(shape('text', { class: 'axis', x: 4, y: 12 }, yLabel));
  const ordered = [...series].sort((a, b) => (a.ours ? 1 : 0) - (b.ours ? 1 : 0));
  for (const one of ordered) {
    let path = '';
    one.points.forEach(([px, py], index) => {
      if (index === 0) path += `M${x(px)} ${y(py)}`;
      else if (one.step) path += `H${x(px)}V${y(py)}`;
      else path += `L${x(px)} ${y(py)}`;
    });
    const line = shape('path', {
      class: one.ours ? 'series ours' : 'series', d: path, stroke: one.colour,
      'stroke-dasharray': one.dashed ? '5 4' : 'none',
    });
    explain(line, one.tip ?? one.name);
    svg.append(line);
    if (one.dots) {
      for (const [px, py] of one.points) {
        const dot = shape('circle', { cx: x(px), cy: y(py), r: one.ours ? 4 : 3, fill: one.colour });
        explain(dot, `${one.name}: ${formatX(px)}, ${formatY(py)}`);
        svg.append(dot);
      }
    }
  }
  return svg;
}

/** Horizontal bars with the middle half as a line: [{ name, colour, value, low, high, ours }] */
function bars(width, { items, format, label, logarithmic }) {
  const row = 24, left = Math.min(150, width * 0.36), right = 66;
  const height = items.length * row + 28;
  const svg = canvas(width, height, label);
  const values = items.flatMap((item) => [item.value, item.high ?? item.value]);
  const most = Math.max(...values, 1.1);
  const least = logarithmic ? Math.min(...items.map((item) => item.low ?? item.value), 0.5) : 0;
  const x = (value) => {
    const share = logarithmic ? Math.log(value / least) / Math.log(most / least) : value / most;
    return left + Math.max(0, share) * (width - left - right);
  };
  svg.append(shape('line', { class: 'one', x1: x(1), x2: x(1), y1: 0, y2: height - 22 }));
  svg.append(shape('text', { class: 'axis', x: x(1), y: height - 6, 'text-anchor': 'middle' }, '1'));
  items.forEach((item, index) => {
    const y = index * row;
    svg.append(shape('text', { x: left - 8, y: y + 16, 'text-anchor': 'end', 'font-weight': item.ours ? 700 : 400 }, item.name));
    const bar = shape('rect', {
      x: left, y: y + 4, height: row - 8, width: Math.max(1, x(item.value) - left), fill: item.colour, rx: 2,
    });
    explain(bar, item.tip ?? `${item.name}: ${format(item.value)}`);
    svg.append(bar);
    let end = x(item.value);
    if (item.high > item.low) {
      svg.append(shape('line', {
        x1: x(item.low), x2: x(item.high), y1: y + row / 2, y2: y + row / 2, stroke: 'var(--ink)', 'stroke-width': 2,
      }));
      end = Math.max(end, x(item.high));
    }
    svg.append(shape('text', { x: end + 6, y: y + 16 }, format(item.value)));
  });
  return svg;
}

// ---- The sections -----------------------------------------------------------------------------

function setup() {
  const { setup: one, engines } = results;
  document.getElementById('setup').append(
    `${one.date} · ${one.processor}, ${one.cores} cores · ${one.system} · load ${one.load} when it began · commit ${one.commit} · ${one.compiler}${one.wasm_opt ? ` · ${one.wasm_opt}` : ''}${one.quick ? ' · a quick run' : ''}. Repeat it with `,
    element('code', {}, one.command), '.');
  document.getElementById('engines').append(...engines.map((engine) => element('li', {},
    engine.version
      ? `${engine.name}: ${engine.version}; ${engine.tiers}${engine.resolution ? `; clock in steps of ${number(engine.resolution)} ns` : ''}`
      : `${engine.name}: not measured: ${engine.absent}`)));
}

function overview() {
  const node = section('short', 'In short',
    'Instructions are exact (wasmtime\'s fuel): geometric mean per operation, and the dearest call of all workloads that did not grow the heap; the first call counts as growth. Memory is pages added over peak live bytes. Holes: the dearest allocation among 16,000 near-fit holes over that among 1,000. Times are geometric means of ratios to ' + results.setup.reference + ', less is better. The best of those that reclaim memory is bold; a click on a heading sorts.');
  const engines = results.engines.filter(({ engine }) => derived.rows.some((row) => row.times[engine]));
  const headings = ['allocator', 'instr./op', 'worst alloc', 'dealloc', 'realloc', 'growing', 'memory', 'holes', 'code, bytes'];
  for (const { name } of engines) headings.push(`${name}`, `${name}, programs`);
  headings.push('contracts');
  const names = derived.rows.map((row) => row.allocator);
  const columns = [
    cells(derived.rows.map((row) => row.mean_fuel), 1, names),
    ...[0, 1, 2].map((kind) => cells(derived.rows.map((row) => row.worst[kind] || null), 0, names)),
    cells(derived.rows.map((row) => row.worst_growing || null), 0, names),
    cells(derived.rows.map((row) => row.footprint), 2, names),
    cells(derived.rows.map((row) => row.holes), 2, names),
    cells(derived.rows.map((row) => row.code_bytes), 0, names),
    ...engines.flatMap(({ engine }) => [0, 1].map((kind) =>
      cells(derived.rows.map((row) => row.times[engine]?.[kind] ?? null), 2, names))),
  ];
  node.append(table(headings, derived.rows.map((row, index) => ({
    kind: row.kind,
    cells: [
      titled({ name: row.allocator, version: row.version }),
      ...columns.map((column) => column[index]),
      row.contracts_broken
        ? { text: `${row.contracts_broken} broken`, value: row.contracts_broken, class: 'bad' }
        : { text: row.contracts_broken === 0 ? 'kept' : '–', value: row.contracts_broken },
    ],
  }))));
  const abouts = element('details', {}, element('summary', {}, 'What they are'));
  abouts.append(table(['allocator', { text: 'about', left: true }, 'kind'], allocators.map((info) => ({
    kind: info.kind,
    cells: [titled(info), { text: info.about + (info.reclaims ? '' : ' (freed memory is lost)'), class: 'left' }, info.kind],
  }))));
  node.append(abouts);
}

function losses() {
  if (derived.losses.length === 0) return;
  const node = section('lose', 'Where we lose',
    `Figures of ${OURS} that the best of the peers which reclaim memory betters; times by more than 5 %.`);
  const most = 15;
  const draw = (list) => table([{ text: 'figure', left: true }, OURS, 'best', 'peer', 'ratio'], list.map((loss) => ({
    cells: [
      { text: loss.figure, class: 'left' },
      { text: number(loss.ours, 2), value: loss.ours },
      { text: number(loss.best, 2), value: loss.best },
      loss.peer,
      { text: number(loss.ours / loss.best, 2), value: loss.ours / loss.best },
    ],
  })));
  node.append(draw(derived.losses.slice(0, most)));
  if (derived.losses.length > most) {
    const rest = derived.losses.slice(most);
    node.append(element('details', {}, element('summary', {}, `${rest.length} more`), draw(rest)));
  }
}

function ratios() {
  if (derived.ratios.length === 0) return;
  const node = section('time', `Time, compared with ${results.setup.reference}`,
    'Medians of ratios within a round; the line is the middle half of the rounds. One process runs all allocators, in another order in each round. For traces the driver\'s own time is subtracted; programs run whole, with all the work that is not the heap\'s.');
  const engines = results.engines.filter(({ engine }) => derived.ratios.some((ratio) => ratio.engine === engine));
  let engine = engines[0].engine;
  const workloads = () => results.workloads.filter(({ name }) =>
    derived.ratios.some((ratio) => ratio.engine === engine && ratio.workload === name));
  let workload = '';
  const means = () => derived.rows
    .filter((row) => Number.isFinite(row.times[engine]?.[0] ?? row.times[engine]?.[1]))
    .map((row) => ({ name: row.allocator, value: row.times[engine][0] ?? row.times[engine][1] }));
  const one = () => derived.ratios
    .filter((ratio) => ratio.engine === engine && ratio.workload === workload)
    .map((ratio) => ({ name: ratio.allocator, value: ratio.spread.median, low: ratio.spread.low, high: ratio.spread.high, nanoseconds: ratio.nanoseconds }));
  const controls = element('div', { class: 'controls' });
  const choices = select('Workload', [{ value: '', text: 'mean of the synthetic ones' },
    ...results.workloads.filter(({ name }) => derived.ratios.some((ratio) => ratio.workload === name))
      .map(({ name, about }) => ({ value: name, text: `${name}: ${about}` }))],
  (value) => { workload = value; redraw(); });
  controls.append(select('Engine', engines.map(({ engine: value, name }) => ({ value, text: name })),
    (value) => { engine = value; redraw(); all(); }), choices);
  node.append(controls);
  const redraw = plot(node, (width) => {
    const items = (workload ? one() : means())
      .map((item) => ({ ...byName.get(item.name), ...item, ours: byName.get(item.name)?.kind === 'ours' }))
      .sort((left, right) => left.value - right.value);
    for (const item of items) {
      item.tip = item.nanoseconds === undefined ? undefined
        : `${item.name}: ${number(item.value, 2)} (${number(item.low, 2)} to ${number(item.high, 2)}), ${nanoseconds(item.nanoseconds)}`;
    }
    if (items.length === 0) return [element('p', { class: 'note' }, 'Not measured on this engine.')];
    const wide = Math.max(...items.map((item) => item.value)) > 6;
    return [bars(width, { items, format: (value) => number(value, 2), logarithmic: wide, label: 'Ratios of time' }),
      element('figcaption', {}, `Time / ${results.setup.reference}'s${wide ? ', on a logarithmic scale' : ''}: less is better.`)];
  });
  const holder = element('div');
  node.append(holder);
  const all = () => {
    const names = results.allocators.map((info) => info.name);
    holder.replaceChildren(table(['workload', ...names], workloads().map(({ name }) => {
      const values = names.map((allocator) => derived.ratios.find((ratio) =>
        ratio.engine === engine && ratio.workload === name && ratio.allocator === allocator)?.spread.median ?? null);
      return { cells: [name, ...cells(values, 2, names)] };
    })));
  };
  all();
}

function latencies() {
  const measured = results.latencies.filter((one) => Object.keys(one.by_allocator).length > 0);
  if (measured.length === 0) return;
  const node = section('latency', 'Single operations',
    'Nanoseconds of one call from outside, two looks at the clock included: compare with control, the empty call. Each operation was timed in several fresh instances and its fastest time counts; “raw” is without that, with everything else the machine did. Operations that grew memory are apart.');
  let chosen = measured[0];
  const label = (one) => `${results.engines.find(({ engine }) => engine === one.engine).name}, ${one.workload}`;
  const controls = element('div', { class: 'controls' });
  controls.append(select('Measured on', measured.map((one, index) => ({ value: index, text: label(one) })),
    (value) => { chosen = measured[value]; redraw(); rows(); }));
  node.append(controls);
  legend(node);
  const redraw = plot(node, (width) => {
    const series = Object.entries(chosen.by_allocator)
      .filter(([name]) => byName.get(name)?.shown)
      .map(([name, latency]) => {
        const total = latency.histogram.reduce((sum, count) => sum + count, 0);
        let above = total;
        const points = [];
        latency.histogram.forEach((count, bin) => {
          if (above > 0 && (count > 0 || points.length > 0)) points.push([2 ** (bin / 4), above / total]);
          above -= count;
        });
        points.push([2 ** (latency.histogram.length / 4), 0.5 / total]);
        const info = byName.get(name);
        return { name, colour: info.colour, points, step: true, ours: name === OURS, dashed: name === 'control' };
      });
    return [lines(width, {
      series, logX: true, logY: true, xLabel: 'at least this long', yLabel: 'share of the operations',
      formatX: nanoseconds, formatY: (value) => (value >= 0.01 ? `${number(value * 100)} %` : `1 in ${number(1 / value)}`),
      label: 'Distribution of latency',
    }), element('figcaption', {}, 'The share of operations that took at least so long, both axes logarithmic. A line that falls early and steeply is what real time needs; the dashed one is the empty call.')];
  });
  const holder = element('div');
  node.append(holder);
  const rows = () => {
    const entries = Object.entries(chosen.by_allocator);
    holder.replaceChildren(table(['allocator', 'p50', 'p99', 'p99.9', 'p99.99', 'max', 'growing, p50', 'growing, max', 'raw, p99.9', 'raw, max'],
      entries.map(([name, latency]) => {
        const cell = (value) => ({ text: value === undefined || value === null ? '–' : number(value), value: value ?? null });
        const { steady, growing, raw } = latency;
        return {
          kind: byName.get(name)?.kind,
          cells: [name, cell(steady?.p50), cell(steady?.p99), cell(steady?.p999), cell(steady?.p9999), cell(steady?.max),
            cell(growing?.p50), cell(growing?.max), cell(raw?.p999), cell(raw?.max)],
        };
      })));
  };
  rows();
}

function worst() {
  if (Object.keys(results.counts).length === 0) return;
  const node = section('worst', 'The worst calls, in instructions',
    'The dearest single call of each kind over all workloads, with the request that did it. Copies and fills count as one instruction each; calls that grew the heap, the first one among them, are in the last columns.');
  const rows = [];
  for (const [allocator, counts] of Object.entries(results.counts)) {
    for (const kind of ['alloc', 'dealloc', 'realloc']) {
      const find = (part) => Object.entries(counts)
        .map(([workload, figures]) => ({ workload, worst: figures[kind][part].worst }))
        .filter(({ worst: one }) => one)
        .sort((left, right) => right.worst.fuel - left.worst.fuel)[0];
      const total = Object.values(counts).reduce((sum, figures) => ({
        count: sum.count + figures[kind].steady.count, fuel: sum.fuel + figures[kind].steady.fuel,
      }), { count: 0, fuel: 0 });
      const [steady, growing] = [find('steady'), find('growing')];
      const request = ({ worst: one, workload }) => `${number(one.size)}${one.new_size ? ` → ${number(one.new_size)}` : ''} B${one.align > 8 ? `, align ${one.align}` : ''}${one.zeroed ? ', zeroed' : ''} in ${workload}`;
      rows.push({
        kind: byName.get(allocator)?.kind,
        cells: [
          `${allocator}, ${kind}`,
          { text: total.count ? number(total.fuel / total.count, 1) : '–', value: total.count ? total.fuel / total.count : null },
          { text: steady ? number(steady.worst.fuel) : '–', value: steady?.worst.fuel ?? null },
          { text: steady ? request(steady) : '–', class: 'left' },
          { text: growing ? number(growing.worst.fuel) : '–', value: growing?.worst.fuel ?? null },
          { text: growing ? request(growing) : '–', class: 'left' },
        ],
      });
    }
  }
  node.append(table(['operation', 'mean', 'worst', { text: 'request', left: true }, 'growing', { text: 'request', left: true }], rows));
}

function means() {
  const counted = results.workloads.filter(({ name }) => Object.values(results.counts).some((counts) => counts[name]));
  if (counted.length === 0) return;
  const node = section('instructions', 'Instructions per operation', 'By workload; programs by their heap operations, replayed from a recording.');
  const names = Object.keys(results.counts);
  const ordered = results.allocators.map((info) => info.name).filter((name) => names.includes(name));
  const mean = (figures) => {
    if (!figures) return null;
    const sum = (part) => ['alloc', 'dealloc', 'realloc'].reduce((total, kind) =>
      total + figures[kind].steady[part] + figures[kind].growing[part], 0);
    return sum('fuel') / sum('count');
  };
  node.append(table(['workload', ...ordered], counted.map(({ name }) => ({
    cells: [name, ...cells(ordered.map((allocator) => mean(results.counts[allocator][name])), 1, ordered)],
  }))));
  const programs = Object.keys(results.programs);
  if (programs.length > 0) {
    const all = results.workloads.filter(({ is_program: is }) => is);
    const list = ordered.filter((name) => programs.includes(name));
    node.append(element('h3', {}, 'Whole programs, millions of instructions'));
    node.append(table(['program', ...list], all.map(({ name }) => ({
      cells: [name, ...cells(list.map((allocator) => (results.programs[allocator][name] ?? NaN) / 1e6), 2, list)],
    }))));
  }
}

function holes() {
  const entries = Object.entries(results.special);
  if (entries.length === 0) return;
  const node = section('holes', 'Cost against holes',
    'Instructions of the dearest of 200 allocations after so many blocks, each a little too small, were freed between pinned ones. An allocator that searches its free lists pays per hole.');
  legend(node);
  plot(node, (width) => [lines(width, {
    series: entries.filter(([name]) => byName.get(name)?.shown).map(([name, special]) => ({
      name, colour: byName.get(name).colour, ours: name === OURS, dots: true,
      points: special.holes_fuel.map((fuel, index) => [results.setup.hole_counts[index], fuel]),
    })),
    logX: true, logY: true, xLabel: 'holes', yLabel: 'instructions, dearest alloc',
    formatX: (value) => number(value), formatY: (value) => number(value), label: 'Cost against holes',
  })]);
}

function footprint() {
  const counted = results.workloads.filter(({ name }) => Object.values(results.counts).some((counts) => counts[name]));
  if (counted.length === 0) return;
  const node = section('memory', 'Memory over time',
    'Memory added to the module while a workload runs, and what was live (dashed). Wasm memory never shrinks.');
  let workload = counted.find(({ name }) => name === 'saw')?.name ?? counted[0].name;
  const controls = element('div', { class: 'controls' });
  const chooser = select('Workload', counted.map(({ name, about }) => ({ value: name, text: `${name}: ${about}` })),
    (value) => { workload = value; redraw(); });
  chooser.querySelector('select').value = workload;
  controls.append(chooser);
  node.append(controls);
  legend(node);
  const redraw = plot(node, (width) => {
    const series = [];
    for (const [name, counts] of Object.entries(results.counts)) {
      const figures = counts[workload];
      if (!figures || !byName.get(name)?.shown) continue;
      if (series.length === 0) {
        series.push({ name: 'live', colour: '#8a8f8c', dashed: true, points: figures.timeline.map((moment) => [moment.operation, moment.live_bytes]) });
      }
      series.push({
        name, colour: byName.get(name).colour, ours: name === OURS, step: true,
        tip: `${name}: ${bytes(figures.grown_pages * PAGE_BYTES)} at the end`,
        points: figures.timeline.map((moment) => [moment.operation, moment.grown_pages * PAGE_BYTES]),
      });
    }
    return [lines(width, {
      series, xLabel: 'operations', yLabel: 'memory added', formatX: (value) => number(value), formatY: bytes, unitY: 1024 ** 2, label: 'Memory over time',
    })];
  });
  const names = results.allocators.map((info) => info.name).filter((name) => results.counts[name]);
  node.append(element('h3', {}, 'Memory added / peak live bytes'));
  node.append(table(['workload', ...names], counted.map(({ name }) => ({
    cells: [name, ...cells(names.map((allocator) => {
      const figures = results.counts[allocator][name];
      return figures ? (figures.grown_pages * PAGE_BYTES) / figures.peak_live_bytes : null;
    }), 2, names)],
  }))));
}

function sizes() {
  const entries = Object.entries(results.sizes);
  if (entries.length === 0) return;
  const levels = Object.keys(entries[0][1]);
  const node = section('size', 'Code size', 'Bytes added to an empty module that exports alloc, dealloc and realloc, by the compiler\'s optimisation level: as compiled, and after wasm-opt -Oz where that is installed.');
  const names = entries.map(([name]) => name);
  const columns = levels.flatMap((level) => [
    cells(entries.map(([, sizes]) => sizes[level].compiled), 0, names),
    cells(entries.map(([, sizes]) => sizes[level].optimized), 0, names),
  ]);
  node.append(table(['allocator', ...levels.flatMap((level) => [level, `${level}, wasm-opt`])], entries.map(([name], index) => ({
    kind: byName.get(name)?.kind,
    cells: [name, ...columns.map((column) => column[index])],
  }))));
}

function starts() {
  if (results.starts.length === 0) return;
  const node = section('start', 'Cold start', 'Milliseconds in a fresh process, with the engine\'s tiers as they are: from the bytes of a module with all nine programs to an instance, and its first run. Medians.');
  const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
  node.append(table(['allocator', 'engine', 'compile', 'first run'], results.starts.map((start) => ({
    kind: byName.get(start.allocator)?.kind,
    cells: [start.allocator, start.engine, ...[start.ready, start.first_run].map((list) => ({ text: number(median(list), 1), value: median(list) }))],
  }))));
}

function programsInC() {
  const [headings, ...rows] = cPrograms;
  const node = section('c', 'C programs',
    'On wasi-libc\'s malloc, which is dlmalloc, and on Alligator\'s C library: recorded by cargo xtask clib --compare; docs/c-programs.md says what each column is.');
  node.append(table(headings, rows.map((row) => ({
    cells: row.map((text) => ({ text, value: text === '' || Number.isNaN(Number(text)) ? text : Number(text) })),
  }))));
}

function contracts() {
  const failures = results.checks.filter((check) => check.failure);
  const node = section('contracts', 'Contracts',
    `${number(results.checks.length)} checks: every block aligned, zero where asked for, filled with a pattern of its own that is still there when it is resized and given back. ${failures.length ? `${failures.length} failed.` : 'None failed.'}`);
  if (failures.length > 0) {
    node.append(table(['allocator', 'workload', 'engine', { text: 'failure', left: true }], failures.map((check) => ({
      cells: [check.allocator, check.workload, check.engine, { text: check.failure, class: 'left' }],
    }))));
  }
  if (results.missing.length > 0) {
    node.append(element('h3', {}, 'What is missing'));
    node.append(element('ul', { class: 'missing' }, ...results.missing.map((line) => element('li', {}, line))));
  }
}

setup();
for (const draw of [overview, losses, ratios, latencies, worst, means, holes, footprint, sizes, starts, programsInC, contracts]) draw();
document.getElementById('contents').append(...sections.map(({ id, title }) => element('a', { href: `#${id}` }, title)));
document.getElementById('footer').append('Written by ', element('code', {}, 'cargo xtask bench'), '. The same figures are in results.json, its schema in lab/schema.json; what favours us and what does not, in lab/BIAS.md.');
