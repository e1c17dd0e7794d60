// Takes the page's data out of its two script elements: figures as JSON, blocks as columns of numbers.

/** The bytes of a script element: base64 of a raw DEFLATE stream. */
async function bytesOf(id) {
  const text = atob(byId(id).textContent.trim());
  const packed = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) packed[index] = text.charCodeAt(index);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Reads LEB128 numbers. Above 2^53 they lose their lowest bits. */
class Numbers {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  next() {
    const bytes = this.bytes;
    let byte = bytes[this.at++];
    if (byte < 128) return byte;
    let number = byte & 127;
    let factor = 128;
    do {
      byte = bytes[this.at++];
      number += (byte & 127) * factor;
      factor *= 128;
    } while (byte >= 128);
    return number;
  }

  /** A difference: 0, -1, 1, -2 and so on as 0, 1, 2, 3. */
  nextSigned() {
    const number = this.next();
    return number % 2 === 0 ? number / 2 : -(number + 1) / 2;
  }
}

/** The blocks, by the moment they came: each column an array. `died` is Infinity for those that stay. */
function readBlocks(raw, length) {
  const numbers = new Numbers(raw);
  const blocks = {
    length,
    born: new Float64Array(length),
    died: new Float64Array(length),
    address: new Float64Array(length),
    size: new Float64Array(length),
    site: new Uint32Array(length),
  };
  let sum = 0;
  for (let index = 0; index < length; index += 1) {
    sum += numbers.next();
    blocks.born[index] = sum;
  }
  for (let index = 0; index < length; index += 1) {
    const life = numbers.next();
    blocks.died[index] = life === 0 ? Infinity : blocks.born[index] + life;
  }
  sum = 0;
  for (let index = 0; index < length; index += 1) {
    sum += numbers.nextSigned();
    blocks.address[index] = sum;
  }
  for (let index = 0; index < length; index += 1) blocks.size[index] = numbers.next();
  for (let index = 0; index < length; index += 1) blocks.site[index] = numbers.next();
  return blocks;
}

/** Figures and blocks. */
async function readData() {
  const [figures, raw] = await Promise.all([bytesOf("figures"), bytesOf("blocks")]);
  const data = JSON.parse(new TextDecoder().decode(figures));
  return { ...data, blocks: readBlocks(raw, data.shown) };
}
