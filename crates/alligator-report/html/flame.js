// Call stacks as a flame graph, the outermost function at the top. A box is as wide as what its calls took.

/** Boxes narrower than this part of the whole are not drawn. */
const NARROWEST = 0.0015;

class Flame {
  constructor(place, note, data) {
    this.place = place;
    this.note = note;
    this.root = { name: "all", children: new Map(), sites: [], parent: null, depth: 0 };
    this.focus = this.root;
    data.sites.forEach((site, index) => {
      let node = this.root;
      for (const frame of site.stack) {
        const { name } = data.frames[frame];
        if (!node.children.has(name)) {
          node.children.set(name, { name, children: new Map(), sites: [], parent: node, depth: node.depth + 1 });
        }
        node = node.children.get(name);
      }
      node.sites.push(index);
    });
    /** Every node after its parent. */
    this.nodes = [this.root];
    for (let at = 0; at < this.nodes.length; at += 1) this.nodes.push(...this.nodes[at].children.values());
  }

  /** Shows one number for each site. */
  show(values, form, what) {
    for (const node of this.nodes) node.total = node.sites.reduce((sum, site) => sum + values[site], 0);
    for (let at = this.nodes.length - 1; at > 0; at -= 1) this.nodes[at].parent.total += this.nodes[at].total;
    this.form = form;
    this.what = what;
    this.draw();
  }

  draw() {
    const { place, focus, root } = this;
    const boxes = [];
    const row = 24;
    let depth = 0;
    const add = (node, left, width) => {
      depth = Math.max(depth, node.depth);
      const part = root.total > 0 ? (100 * node.total) / root.total : 0;
      const label = `${node.name}, ${this.form(node.total)} ${this.what}, ${part.toFixed(1)} %`;
      const box = element("button", { type: "button", class: "box", title: label, "aria-label": label, onclick: () => this.zoom(node), onfocus: () => this.say(label), onpointerenter: () => this.say(label) });
      if (width * place.clientWidth > 44) box.append(node.name);
      box.style.left = `${100 * left}%`;
      box.style.width = `${100 * width}%`;
      box.style.top = `${node.depth * row}px`;
      box.style.setProperty("--hue", hueOf(node.name));
      boxes.push(box);
    };
    for (let node = focus.parent; node; node = node.parent) add(node, 0, 1);
    const walk = (node, left, width) => {
      if (width < NARROWEST || node.total === 0) return;
      add(node, left, width);
      let at = left;
      const children = [...node.children.values()].sort((one, other) => other.total - one.total);
      for (const child of children) {
        const part = (width * child.total) / node.total;
        walk(child, at, part);
        at += part;
      }
    };
    walk(focus, 0, 1);
    place.style.height = `${(depth + 1) * row}px`;
    place.replaceChildren(...boxes);
    this.say(root.total === 0 ? `nothing ${this.what}` : `${this.form(root.total)} ${this.what} in all; choose a box to see only what it calls`);
  }

  zoom(node) {
    this.focus = node;
    this.draw();
  }

  say(text) {
    this.note.textContent = text;
  }
}

/** A hue for a name, always the same, and the same for functions of one module. */
function hueOf(name) {
  const start = name.split("::")[0];
  let hash = 7;
  for (const character of start) hash = (hash * 31 + character.codePointAt(0)) % 9973;
  return 70 + (hash % 12) * 12;
}
