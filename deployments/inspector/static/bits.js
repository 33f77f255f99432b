// Masks as bits: packed lines, and PNG files of them. A canvas is not asked: browsers may blur what they read from one.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CHECKS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** Pixels, 0 or 1, eight to a byte; each line begins at a new byte. */
export function packed(pixels, width, height) {
  const stride = (width + 7) >> 3;
  const bits = new Uint8Array(stride * height);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) if (pixels[at]) bits[y * stride + (x >> 3)] |= 128 >> (x & 7);
  }
  return bits;
}

/** What `packed` packed. */
export function unpacked(bits, width, height) {
  const stride = (width + 7) >> 3;
  const pixels = new Uint8Array(width * height);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 1) pixels[at] = (bits[y * stride + (x >> 3)] >> (7 - (x & 7))) & 1;
  }
  return pixels;
}

/** Bytes as text, for what is kept or sent as text. */
export function toText(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096));
  return btoa(text);
}

/** What `toText` wrote. */
export const fromText = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** A PNG of one bit a pixel, from packed lines. */
export async function png(bits, width, height) {
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint8(8, 1);
  const data = chunk("IDAT", await deflated(bits, height));
  const parts = [Uint8Array.from(SIGNATURE), chunk("IHDR", new Uint8Array(header.buffer)), data, chunk("IEND")];
  return new Blob(parts, { type: "image/png" });
}

async function deflated(bits, height) {
  const stride = bits.length / height;
  const lines = new Uint8Array((stride + 1) * height);
  for (let y = 0; y < height; y += 1) lines.set(bits.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  const stream = new Blob([lines]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(kind, data = new Uint8Array()) {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let at = 0; at < 4; at += 1) bytes[4 + at] = kind.charCodeAt(at);
  bytes.set(data, 8);
  view.setUint32(data.length + 8, check(bytes.subarray(4, data.length + 8)));
  return bytes;
}

function check(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CHECKS[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
