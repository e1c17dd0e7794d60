// The table of sites: what each call stack took, has now, had at the peak and keeps.

/** Rows that are shown before the reader asks for more. */
const ROWS = 50;

/** Columns: a name, the number by which it is sorted, how that is written. */
const COLUMNS = [
  { id: "name", label: "site" },
  { id: "blocks", label: "blocks taken", value: (site) => site.taken[0], form: count },
  { id: "bytes", label: "bytes taken", value: (site) => site.taken[1], form: bytes },
  { id: "now", label: "live now", value: (_, now) => now.bytes, form: bytes },
  { id: "change", label: "since A", value: (_, now) => now.change, form: (number) => signed(number, bytes) },
  { id: "peak", label: "at the peak", value: (site) => site.peak[1], form: bytes },
  { id: "end", label: "at the end", value: (site) => site.end[1], form: bytes },
  { id: "most", label: "its most", value: (site) => site.most[1], form: bytes },
  { id: "size", label: "largest block", value: (site) => site.sizeMax, form: bytes },
  { id: "life", label: "mean life, events", value: (site) => site.life ?? Infinity, form: (number) => (number === Infinity ? "for ever" : count(number)) },
];

class SiteTable {
  /** `choose` is called with the number of a site that the reader picks. */
  constructor(table, filter, more, data, choose) {
    this.table = table;
    this.data = data;
    this.choose = choose;
    this.sort = { id: "bytes", down: true };
    this.rows = ROWS;
    this.open = null;
    this.now = { bytes: [], change: [] };
    this.hasBase = false;
    this.filter = filter;
    this.more = more;
    filter.addEventListener("input", () => this.draw());
    more.addEventListener("click", () => {
      this.rows *= 4;
      this.draw();
    });
  }

  /** Shows live bytes of each site now, and their difference to those at A, if that is set. */
  show(now, base) {
    this.hasBase = base !== null;
    this.now = { bytes: now.bytes, change: base ? now.bytes.map((number, index) => number - base.bytes[index]) : [] };
    this.draw();
  }

  of(column, index) {
    return column.value(this.data.sites[index], { bytes: this.now.bytes[index] ?? 0, change: this.now.change[index] ?? 0 });
  }

  sorted() {
    const { sites } = this.data;
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const names = sites.map((site) => site.stack.map((frame) => this.data.frames[frame].name).join(" ").toLowerCase());
    const chosen = sites.map((_, index) => index).filter((index) => words.every((word) => names[index].includes(word)));
    const column = COLUMNS.find((column) => column.id === this.sort.id);
    const key = column.value ? (index) => this.of(column, index) : (index) => sites[index].name;
    const order = (one, other) => (one < other ? -1 : one > other ? 1 : 0);
    chosen.sort((one, other) => (this.sort.down ? order(key(other), key(one)) : order(key(one), key(other))) || one - other);
    return chosen;
  }

  draw() {
    const columns = COLUMNS.filter((column) => column.id !== "change" || this.hasBase);
    const heads = columns.map((column) => this.head(column));
    const chosen = this.sorted();
    const rows = chosen.slice(0, this.rows).flatMap((index) => this.row(columns, index));
    const body = element("tbody", {}, ...rows);
    if (chosen.length === 0) body.append(element("tr", {}, element("td", { colspan: columns.length }, "no site")));
    this.table.replaceChildren(element("thead", {}, element("tr", {}, ...heads)), body);
    this.more.hidden = chosen.length <= this.rows;
    this.more.textContent = `Show more of ${count(chosen.length)} sites`;
  }

  head(column) {
    const { sort } = this;
    const isSorted = sort.id === column.id;
    const arrow = isSorted ? (sort.down ? " ▼" : " ▲") : "";
    const button = element("button", {
      type: "button",
      onclick: () => {
        this.sort = { id: column.id, down: isSorted ? !sort.down : column.id !== "name" };
        this.draw();
        this.table.querySelector(`th[data-column="${column.id}"] button`)?.focus();
      },
    }, column.label + arrow);
    return element("th", { scope: "col", "data-column": column.id, "aria-sort": isSorted ? (sort.down ? "descending" : "ascending") : "none" }, button);
  }

  row(columns, index) {
    const site = this.data.sites[index];
    const isOpen = this.open === index;
    const cells = columns.map((column) => {
      if (column.value) return element("td", { class: "number" }, column.form(this.of(column, index)));
      const button = element("button", {
        type: "button",
        "aria-expanded": String(isOpen),
        onclick: () => {
          this.open = isOpen ? null : index;
          this.choose(this.open);
          this.draw();
          this.table.querySelector(`tr[data-site="${index}"] button`)?.focus();
        },
      }, site.name);
      const tags = site.growing ? [element("span", { class: "tag" }, "growing")] : [];
      return element("th", { scope: "row" }, button, ...tags);
    });
    const rows = [element("tr", { "data-site": index, class: isOpen ? "open" : "" }, ...cells)];
    if (isOpen) rows.push(element("tr", { class: "stack" }, element("td", { colspan: columns.length }, this.stack(site))));
    return rows;
  }

  /** The call stack, the innermost function first. */
  stack(site) {
    const frames = [...site.stack].reverse().map((frame) => {
      const { name, place } = this.data.frames[frame];
      return element("li", {}, element("code", {}, name), place ? ` ${place}` : "");
    });
    return element("ol", { class: "frames" }, ...frames);
  }
}
