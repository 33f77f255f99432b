// Keeps strokes of one row on the server: each one an act, in order. What cannot be kept waits, and is not lost.

import { png, toText } from "./bits.js";
import { kept, keep } from "./kept.js";
import { update } from "./rows.js";
import { change } from "./server.js";

export class Saver {
  /** item: the row's `li`, which knows its version. mask: of the row now. tell: called with this and what is wrong. */
  constructor(digest, item, [width, height], mask, tell) {
    Object.assign(this, { digest, item, width, height, mask, tell, jobs: [], status: "saved", running: null });
    const { image, channel } = item.dataset;
    this.place = `${image}/${channel}`;
    this.key = `unsaved-${digest}-${image}-${channel}`;
  }

  /** Whether something is not on the server yet. */
  get isPending() {
    return this.jobs.length > 0;
  }

  /** Make this state, `{ version }`, the row's: by its version where the server has it, else by its bits. */
  save(state, bits) {
    this.jobs.push({ state, bits });
    return this.run();
  }

  /** Send what waits; resolves when all is sent, or one cannot be. */
  run() {
    if (this.status === "conflict") return Promise.resolve();
    this.running ??= this.#sendAll().finally(() => (this.running = null));
    return this.running;
  }

  async #sendAll() {
    if (this.jobs.length) this.#say("saving");
    while (this.jobs.length && (await this.#send(this.jobs[0]))) this.jobs.shift();
    if (this.jobs.length) return;
    keep(this.key, null);
    this.#say("saved");
  }

  /** Mine in the place of what somebody else painted meanwhile, which is in the history. */
  insist(state, bits) {
    state.version = null;
    this.jobs = [];
    this.status = "saved";
    return this.save(state, bits);
  }

  /** Drop what is not saved. */
  drop() {
    this.jobs = [];
    keep(this.key, null);
    this.#say("saved");
  }

  /** What was drawn when the page was left and could not be saved: `{ version, bits }`, or null. */
  left() {
    return kept(this.key, null);
  }

  async #send(job) {
    const base = `/api/labels/${this.digest}/paint/${this.place}`;
    const path = () => {
      const where = job.state.version === null ? base : `${base}/to/${job.state.version}`;
      return `${where}?seen=${this.item.dataset.version}`;
    };
    const body = job.state.version === null ? await png(job.bits, this.width, this.height) : {};
    const answer = await change(path, () => body);
    if (!answer || answer.refused) return this.#fail(answer);
    job.state.version ??= answer.n;
    this.mask = answer.rows[0].mask;
    update(answer.rows);
    return true;
  }

  #fail(answer) {
    const last = this.jobs[this.jobs.length - 1];
    keep(this.key, { version: this.item.dataset.version, bits: toText(last.bits) });
    if (answer) this.theirs = answer.rows?.[0];
    this.#say(answer ? "conflict" : "failed", answer?.problem);
    return false;
  }

  #say(status, problem = "") {
    this.status = status;
    this.tell(this, problem);
  }
}
