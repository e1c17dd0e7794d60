// The heap at any moment. A moment is a number of events: 0 before the first.

/** The first index of a rising array whose value is above `value`. */
function firstAbove(array, value) {
  let low = 0;
  let high = array.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (array[middle] > value) high = middle;
    else low = middle + 1;
  }
  return low;
}

class Heap {
  constructor(data) {
    this.data = data;
    this.list = new Uint32Array(data.blocks.length);
    const { timeline } = data;
    this.events = [0, ...timeline.event];
    this.times = [0, ...timeline.time];
  }

  /** Indices of the blocks that are live at a moment. The array is the same one each time. Time: linear in blocks. */
  liveAt(moment) {
    const { born, died } = this.data.blocks;
    const end = firstAbove(born, moment);
    const list = this.list;
    let length = 0;
    for (let index = 0; index < end; index += 1) {
      if (died[index] > moment) list[length++] = index;
    }
    return list.subarray(0, length);
  }

  /** Live bytes and blocks of each site. */
  sitesOf(live) {
    const { size, site } = this.data.blocks;
    const weight = this.data.oneIn;
    const bytes = new Float64Array(this.data.sites.length);
    const blocks = new Float64Array(this.data.sites.length);
    for (const index of live) {
      bytes[site[index]] += size[index] * weight;
      blocks[site[index]] += weight;
    }
    return { bytes, blocks };
  }

  /** The number of the piece of the time line that a moment is in. */
  bucketAt(moment) {
    return Math.min(firstAbove(this.data.timeline.event, moment - 1), this.data.timeline.event.length - 1);
  }

  /** The most pages: those of the memory, or those that blocks lie in if the trace says none. */
  get pagesMost() {
    const { end, peak, blocks, pageBytes } = this.data;
    let most = Math.max(end.pages, peak.pages, 1);
    for (let index = 0; index < blocks.length; index += 1) {
      most = Math.max(most, Math.ceil((blocks.address[index] + blocks.size[index]) / pageBytes));
    }
    return most;
  }

  /** Pages of memory at a moment. */
  pagesAt(moment) {
    let pages = this.data.firstPages;
    for (const growth of this.data.growths) {
      if (growth.event > moment) break;
      pages = growth.after;
    }
    return pages;
  }

  /** Time of a moment in nanoseconds, between the known ones in proportion. */
  timeAt(moment) {
    return between(this.events, this.times, moment);
  }

  /** The moment at a time. */
  momentAt(ns) {
    return Math.round(between(this.times, this.events, ns));
  }

  /** The live block that holds an address, or -1. */
  blockAt(live, address) {
    const { address: start, size } = this.data.blocks;
    for (const index of live) {
      if (start[index] <= address && address < start[index] + Math.max(size[index], 1)) return index;
    }
    return -1;
  }
}

/** The value of `ys` at `x` in the rising `xs`, in proportion between its neighbours. */
function between(xs, ys, x) {
  const after = firstAbove(xs, x);
  if (after === 0) return ys[0];
  if (after === xs.length) return ys[ys.length - 1];
  const width = xs[after] - xs[after - 1];
  const part = width === 0 ? 0 : (x - xs[after - 1]) / width;
  return ys[after - 1] + part * (ys[after] - ys[after - 1]);
}
