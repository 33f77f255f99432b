// A mask that is painted, and what each stroke changed in it.

import { packed, unpacked } from "./bits.js";
import { holes } from "./shapes.js";

export class Mask {
  /** pixels: 0 or 1 each, of `width` times `height`. */
  constructor(width, height, pixels) {
    Object.assign(this, { width, height, pixels });
    this.before = null;
    this.box = null;
  }

  /** Begin a stroke. */
  begin() {
    this.before = this.pixels.slice();
    this.box = null;
  }

  /** Whether a stroke is begun. */
  get isDrawn() {
    return this.before !== null;
  }

  /** Set what lies within `radius` of a line, in pixels; returns the box that may have changed. */
  line([x0, y0], [x1, y1], radius, value) {
    const reach = Math.max(radius, 0.71); // no point of a pixel is farther from its middle
    const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)];
    const [top, bottom] = [Math.min(y0, y1), Math.max(y0, y1)];
    const box = this.#within(left - reach, top - reach, right + reach, bottom + reach);
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy || 1;
    for (let y = box[1]; y < box[3]; y += 1) {
      for (let x = box[0]; x < box[2]; x += 1) {
        const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
        const share = Math.max(0, Math.min(1, (px * dx + py * dy) / length));
        const [ex, ey] = [px - share * dx, py - share * dy];
        if (ex * ex + ey * ey <= reach * reach) this.pixels[y * this.width + x] = value;
      }
    }
    return this.#touched(box);
  }

  /** Set what an area has; returns the box that may have changed. */
  merge(area, value) {
    for (let at = 0; at < area.length; at += 1) if (area[at]) this.pixels[at] = value;
    return this.#touched([0, 0, this.width, this.height]);
  }

  /** End a stroke: what it changed, for `apply`; null where nothing did. */
  commit() {
    const { before, box, width, pixels } = this;
    this.before = null;
    if (!box) return null;
    const [w, h] = [box[2] - box[0], box[3] - box[1]];
    const changed = new Uint8Array(w * h);
    let count = 0;
    for (let y = 0, at = 0; y < h; y += 1) {
      for (let x = 0, from = (box[1] + y) * width + box[0]; x < w; x += 1, at += 1, from += 1) {
        changed[at] = pixels[from] ^ before[from];
        count += changed[at];
      }
    }
    return count ? { box, bits: packed(changed, w, h) } : null;
  }

  /** Drop a stroke that is begun. */
  cancel() {
    if (this.before) this.pixels.set(this.before);
    this.before = null;
  }

  /** Turn a stroke back, or do it again: the same, as it says which pixels changed. Returns its box. */
  apply({ box, bits }) {
    const [w, h] = [box[2] - box[0], box[3] - box[1]];
    const changed = unpacked(bits, w, h);
    for (let y = 0, at = 0; y < h; y += 1) {
      for (let x = 0; x < w; x += 1, at += 1) this.pixels[(box[1] + y) * this.width + box[0] + x] ^= changed[at];
    }
    return box;
  }

  /** Its holes, one byte a pixel. */
  holes() {
    return holes(this.pixels, this.width, this.height);
  }

  /** All of it, packed. */
  bits() {
    return packed(this.pixels, this.width, this.height);
  }

  #within(left, top, right, bottom) {
    const x = (value) => Math.max(0, Math.min(this.width, value));
    const y = (value) => Math.max(0, Math.min(this.height, value));
    return [x(Math.floor(left)), y(Math.floor(top)), x(Math.ceil(right)), y(Math.ceil(bottom))];
  }

  #touched(box) {
    const all = this.box;
    if (box[2] > box[0] && box[3] > box[1]) {
      this.box = all
        ? [Math.min(all[0], box[0]), Math.min(all[1], box[1]), Math.max(all[2], box[2]), Math.max(all[3], box[3])]
        : box;
    }
    return box;
  }
}
