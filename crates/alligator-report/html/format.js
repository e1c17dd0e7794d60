// Numbers as people read them.

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Bytes in the largest unit that leaves at least one of it. */
function bytes(number) {
  if (number < 0) return `-${bytes(-number)}`;
  let unit = -1;
  while (number >= 1024 && unit < UNITS.length - 1) {
    number /= 1024;
    unit += 1;
  }
  if (unit < 0) return `${Math.round(number)} B`;
  const digits = number < 10 ? 2 : number < 100 ? 1 : 0;
  const factor = 10 ** digits;
  return `${(Math.floor(number * factor) / factor).toFixed(digits)} ${UNITS[unit]}`;
}

/** A count, with a comma between thousands. */
function count(number) {
  return Math.round(number).toLocaleString("en-US");
}

/** A number with its sign, written by `form`. */
function signed(number, form) {
  return number > 0 ? `+${form(number)}` : form(number);
}

/** A time. */
function duration(ns) {
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} µs`;
  if (ns < 1e9) return `${(ns / 1e6).toFixed(1)} ms`;
  return `${(ns / 1e9).toFixed(2)} s`;
}

/** An address. */
function hex(address) {
  return `0x${address.toString(16)}`;
}

/** A new element with attributes and contents. */
function element(tag, attributes = {}, ...contents) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...contents);
  return made;
}

/** The element of this id. */
function byId(id) {
  return document.getElementById(id);
}
