// One row while it is corrected: its mask, the states that strokes left, and what keeps them.

import { fromText, unpacked } from "./bits.js";
import { Mask } from "./mask.js";
import { update } from "./rows.js";
import { Saver } from "./saver.js";

/** A row's mask cannot be had; the message says why. */
export class NoMaskError extends Error {}

export class Session {
  constructor(item, mask, saver) {
    Object.assign(this, { item, mask, saver });
    this.states = [{ version: Number(item.dataset.version) }];
    this.place = 0;
  }

  /** Begin with the mask that counts on the server by now. Raises NoMaskError. */
  static async open(digest, item, size, tell) {
    const { image, channel } = item.dataset;
    const response = await fetch(`/api/labels/${digest}/paint/${image}/${channel}`).catch(() => null);
    const found = await response?.json().catch(() => null);
    if (!response?.ok || !found) {
      throw new NoMaskError(found?.problem ?? "The server cannot be reached. Start it again, then try again.");
    }
    update([found.row]);
    const mask = new Mask(...size, unpacked(fromText(found.bits), ...size));
    return new Session(item, mask, new Saver(digest, item, size, found.row.mask, tell));
  }

  /** Whether the row's mask is the one that was drawn here, or found when this began. */
  get isCurrent() {
    return this.saver.isPending || this.item.dataset.mask === this.saver.mask;
  }

  /** End a stroke and keep it; whether it changed anything. */
  commit() {
    const patch = this.mask.commit();
    if (!patch) return false;
    this.states.length = this.place + 1;
    this.states.push({ version: null, patch });
    this.place += 1;
    this.#keep();
    return true;
  }

  /** Take the last stroke back; its box, or null where there is none. */
  undo() {
    if (!this.place) return null;
    const box = this.mask.apply(this.states[this.place].patch);
    this.place -= 1;
    this.#keep();
    return box;
  }

  /** Do the stroke again that was taken back last; its box, or null where there is none. */
  redo() {
    if (this.place + 1 >= this.states.length) return null;
    this.place += 1;
    const box = this.mask.apply(this.states[this.place].patch);
    this.#keep();
    return box;
  }

  /** After a conflict: this drawing in the place of what somebody else made of the row. */
  insist() {
    update([this.saver.theirs]);
    return this.saver.insist(this.states[this.place], this.mask.bits());
  }

  /** Put back what could not be saved when the page was left, as one stroke. Whether there was anything. */
  recover() {
    const left = this.saver.left();
    if (!left) return false;
    const { width, height, pixels } = this.mask;
    const drawn = unpacked(fromText(left.bits), width, height);
    const same = String(left.version) === this.item.dataset.version;
    if (!same && !confirm("Somebody changed this mask since you drew what was not saved. Put your drawing over it?")) {
      this.saver.drop();
      return false;
    }
    this.mask.begin();
    this.mask.merge(pixels.map((pixel, at) => pixel & ~drawn[at] & 1), 0);
    this.mask.merge(drawn, 1);
    return this.commit();
  }

  #keep() {
    this.saver.save(this.states[this.place], this.mask.bits());
  }
}
