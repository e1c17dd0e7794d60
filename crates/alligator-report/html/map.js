// The heap as a picture: pages as squares, in reading order, and in each its granules. A cell's colour is that of the
// block with most bytes in it, the paler the less of it is taken.

/** Cells of a page's side and pixels of a cell, from the most detailed: the first that fits is taken. */
const LAYOUTS = [
  [64, 8], [64, 6], [64, 5], [32, 4], [16, 4], [16, 3], [8, 4], [8, 3], [8, 2], [4, 3], [4, 2], [2, 3], [2, 2], [1, 3], [1, 2], [1, 1],
];

/** Pages that are drawn, at most: those of 64 GiB. */
const PAGES_MAX = 1 << 20;

/** Sizes in bytes whose colours differ. */
const SIZE_STEPS = [16, 32, 64, 128, 256, 512, 1024, 4096, 16384, 65536, 1048576];

/** Colours of sizes, from small to large, and of sites. Both are told apart by people who do not see all colours. */
const SIZE_COLOURS = ["#8a3fd0", "#4f5ad0", "#4675ed", "#39a2fc", "#1bcfd4", "#24eca6", "#61fc6c", "#a4fc3b", "#d1e834", "#f3c63a", "#fe9b2d", "#d93806"];
const SITE_COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b5a800", "#8a63d2", "#a0522d"];
const OTHER_COLOUR = "#8b958f";
const DIFFERENCE = { kept: "#8b958f", added: "#e08a00", gone: "#2f7fd0" };

function rgb(text) {
  return [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16));
}

class HeapMap {
  constructor(canvas, heap) {
    this.canvas = canvas;
    this.heap = heap;
    this.page = null;
    this.cells = document.createElement("canvas");
    this.cursor = null;
  }

  /** Sites that have a colour of their own: those with most bytes at the peak. */
  get named() {
    if (!this.namedSites) {
      const { sites } = this.heap.data;
      const order = sites.map((_, index) => index).sort((one, other) => sites[other].peak[1] - sites[one].peak[1]);
      this.namedSites = order.filter((index) => sites[index].peak[1] > 0).slice(0, SITE_COLOURS.length);
    }
    return this.namedSites;
  }

  /** Colours and the function that gives a block's number among them. */
  palette(mode, site, base) {
    const { blocks } = this.heap.data;
    if (mode === "site") {
      const number = new Map(this.named.map((index, at) => [index, at]));
      const names = this.named.map((index) => this.heap.data.sites[index].name);
      const all = [...SITE_COLOURS.slice(0, names.length), OTHER_COLOUR];
      return { colours: all, names: [...names, "all others"], of: (block) => number.get(blocks.site[block]) ?? names.length };
    }
    if (mode === "one") {
      const name = this.heap.data.sites[site]?.name ?? "the chosen site";
      return { colours: ["#e08a00", OTHER_COLOUR], names: [name, "all others"], of: (block) => (blocks.site[block] === site ? 0 : 1) };
    }
    if (mode === "stays") {
      return { colours: ["#c2410c", "#56b4e9"], names: ["never given back", "given back later"], of: (block) => (blocks.died[block] === Infinity ? 0 : 1) };
    }
    if (mode === "difference") {
      return {
        colours: [DIFFERENCE.kept, DIFFERENCE.added, DIFFERENCE.gone],
        names: ["live at both moments", "live only now", "live only at A"],
        of: (block, now) => (!now ? 2 : blocks.born[block] <= base && base < blocks.died[block] ? 0 : 1),
      };
    }
    const names = SIZE_STEPS.map((size) => `up to ${bytes(size)}`);
    return { colours: SIZE_COLOURS, names: [...names, "larger"], of: (block) => firstAbove(SIZE_STEPS, blocks.size[block] - 1) };
  }

  /** How the pages are laid out in the space that there is. */
  layout(pages) {
    const width = Math.max(this.canvas.parentElement.clientWidth, 100);
    const height = Math.min(Math.max(innerHeight * 0.6, 260), 560);
    const count = this.page === null ? Math.min(Math.max(pages, 1), PAGES_MAX) : 1;
    for (const [side, pixels] of LAYOUTS) {
      const tile = side * pixels + 1;
      const columns = Math.floor(width / tile);
      if (columns < 1) continue;
      const rows = Math.ceil(count / columns);
      if (rows * tile <= height || (side === 1 && pixels === 1)) {
        const used = Math.min(columns, count);
        return { side, pixels, tile, columns: used, rows: Math.ceil(count / used), first: this.page ?? 0, count };
      }
    }
    return null;
  }

  /** Draws the blocks of `live`, and of `gone` if a difference is shown. */
  draw({ live, gone, mode, site, base, pages, pagesNow }) {
    const layout = this.layout(pages);
    this.drawn = { layout, live, pagesNow };
    const palette = this.palette(mode, site, base);
    this.paint(layout, palette, live, gone, pagesNow);
    const ratio = devicePixelRatio || 1;
    const width = layout.columns * layout.tile;
    const height = layout.rows * layout.tile;
    const { canvas } = this;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = false;
    context.fillStyle = colour("--panel");
    context.fillRect(0, 0, width, height);
    const { side, pixels, tile } = layout;
    if (pixels > 1) {
      // Tiles with a pixel between them.
      for (let row = 0; row < layout.rows; row += 1) {
        for (let column = 0; column < layout.columns; column += 1) {
          if (row * layout.columns + column >= layout.count) break;
          context.drawImage(this.cells, column * side, row * side, side, side, column * tile, row * tile, tile - 1, tile - 1);
        }
      }
    } else {
      context.drawImage(this.cells, 0, 0, this.cells.width, this.cells.height, 0, 0, width, height);
    }
    this.drawCursor(context);
    return palette;
  }

  paint(layout, palette, live, gone, pagesNow) {
    const { blocks, pageBytes } = this.heap.data;
    const { side, columns, rows, first, count } = layout;
    const perPage = side * side;
    const cellBytes = pageBytes / perPage;
    const total = count * perPage;
    const taken = new Float32Array(total);
    const most = new Float32Array(total);
    const owner = new Uint8Array(total);
    const start = first * pageBytes;
    const end = start + count * pageBytes;
    const add = (list, now) => {
      for (const block of list) {
        const from = Math.max(blocks.address[block], start);
        const to = Math.min(blocks.address[block] + Math.max(blocks.size[block], 1), end);
        if (from >= to) continue;
        const number = palette.of(block, now);
        const last = Math.floor((to - 1 - start) / cellBytes);
        for (let cell = Math.floor((from - start) / cellBytes); cell <= last; cell += 1) {
          const low = start + cell * cellBytes;
          const part = Math.min(to, low + cellBytes) - Math.max(from, low);
          taken[cell] += part;
          if (part > most[cell]) {
            most[cell] = part;
            owner[cell] = number;
          }
        }
      }
    };
    add(live, true);
    if (gone) add(gone, false);
    const free = rgb(colour("--free"));
    const none = rgb(colour("--panel"));
    const colours = palette.colours.map(rgb);
    this.cells.width = columns * side;
    this.cells.height = rows * side;
    const context = this.cells.getContext("2d");
    const image = context.createImageData(this.cells.width, this.cells.height);
    const pixels = image.data;
    for (let page = 0; page < count; page += 1) {
      const isThere = first + page < pagesNow;
      const left = (page % columns) * side;
      const top = Math.floor(page / columns) * side;
      for (let inside = 0; inside < perPage; inside += 1) {
        const cell = page * perPage + inside;
        const at = 4 * ((top + Math.floor(inside / side)) * this.cells.width + left + (inside % side));
        const back = isThere ? free : none;
        const part = taken[cell] === 0 ? 0 : 0.4 + 0.6 * Math.min(taken[cell] / cellBytes, 1);
        const front = colours[owner[cell]];
        for (let channel = 0; channel < 3; channel += 1) {
          pixels[at + channel] = back[channel] + part * (front[channel] - back[channel]);
        }
        pixels[at + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  drawCursor(context) {
    if (this.cursor === null) return;
    const place = this.placeOf(this.cursor);
    if (!place) return;
    const { pixels } = this.drawn.layout;
    context.strokeStyle = colour("--ink");
    context.lineWidth = 2;
    context.strokeRect(place.x - 1, place.y - 1, pixels + 2, pixels + 2);
  }

  /** The upper left corner of an address's cell. */
  placeOf(address) {
    const { side, pixels, tile, columns, first, count } = this.drawn.layout;
    const { pageBytes } = this.heap.data;
    const page = Math.floor(address / pageBytes) - first;
    if (page < 0 || page >= count) return null;
    const inside = Math.floor(((address % pageBytes) * side * side) / pageBytes);
    return {
      x: (page % columns) * tile + (inside % side) * pixels,
      y: Math.floor(page / columns) * tile + Math.floor(inside / side) * pixels,
    };
  }

  /** Bytes of one cell. */
  get cellBytes() {
    const { side } = this.drawn.layout;
    return this.heap.data.pageBytes / (side * side);
  }

  /** The address of the cell under a pointer, or null. */
  addressAt(event) {
    const box = this.canvas.getBoundingClientRect();
    const { side, pixels, tile, columns, first, count } = this.drawn.layout;
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    const column = Math.floor(x / tile);
    const page = Math.floor(y / tile) * columns + column;
    if (x < 0 || y < 0 || column >= columns || page >= count) return null;
    const inside = Math.min(Math.floor((y % tile) / pixels), side - 1) * side + Math.min(Math.floor((x % tile) / pixels), side - 1);
    return (first + page) * this.heap.data.pageBytes + inside * this.cellBytes;
  }

  /** What lies in the cell of an address, in words. */
  describe(address) {
    const { pageBytes, blocks, sites } = this.heap.data;
    const page = Math.floor(address / pageBytes);
    if (page >= this.drawn.pagesNow) return `page ${count(page)}: not there yet`;
    const start = `page ${count(page)}, ${hex(address)}`;
    let found = -1;
    let others = -1;
    const end = address + this.cellBytes;
    for (const block of this.drawn.live) {
      const from = blocks.address[block];
      if (from < end && from + Math.max(blocks.size[block], 1) > address) {
        others += 1;
        if (found < 0 || blocks.size[block] > blocks.size[found]) found = block;
      }
    }
    if (found < 0) return `${start}: free, or the allocator's own`;
    const life = blocks.died[found] === Infinity ? "never given back" : `given back at event ${count(blocks.died[found])}`;
    const more = others > 0 ? `, and ${count(others)} more in this cell` : "";
    return `${start}: ${bytes(blocks.size[found])} at ${hex(blocks.address[found])} from ${sites[blocks.site[found]].name}, taken at event ${count(blocks.born[found])}, ${life}${more}`;
  }
}
