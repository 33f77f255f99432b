// Correct by hand: the tools, their keys, and which row they work on.

import { alike } from "./alike.js";
import { Board } from "./board.js";
import { Drawing } from "./drawing.js";
import { Guard } from "./guard.js";
import { isWriting, listen } from "./keys.js";
import { NoMaskError, Session } from "./session.js";
import { makeTools } from "./tools.js";
import { toast } from "./toasts.js";

let editor = null;

/** Show the editor on a row, or put it away. */
export async function toggle(viewer, item, sight) {
  if (!item) return toast("This image has no mask to correct. Say which class is missing first.");
  editor ??= new Editor(viewer, sight);
  return editor.root.hidden ? editor.show(item) : editor.leave();
}

class Editor {
  constructor(viewer, sight) {
    const { digest, image, width, height } = viewer.dataset;
    Object.assign(this, { digest, image, size: [Number(width), Number(height)], sessions: new Map(), session: null });
    this.root = document.getElementById("editor");
    this.stage = this.root.querySelector(".editor-stage");
    this.board = new Board(this.stage, ...this.size, `/labels/${digest}/pictures/image/${image}`);
    this.options = { size: 12, threshold: 180, isSubtract: false };
    this.tools = makeTools(this);
    sight.add(this.stage);
    this.drawing = new Drawing(this.stage, sight, this.size, () => this.session && this.tool);
    this.guard = new Guard(() => [...this.sessions.values()].map(({ saver }) => saver), () => this.tool.leave());
    this.#listen(viewer);
    this.take("brush");
  }

  /** Work on a row. */
  async show(item) {
    this.root.hidden = false;
    this.root.scrollIntoView({ block: "start", behavior: "instant" }); // what is drawn on stands still
    this.stage.focus({ preventScroll: true });
    await this.open(item);
  }

  /** Put the editor away; what was drawn stays, and is kept. */
  leave() {
    this.tool.leave();
    this.root.hidden = true;
  }

  /** Begin, or go on with, a row. */
  async open(item) {
    this.tool.leave();
    this.wanted = item;
    this.session = this.sessions.get(item)?.isCurrent ? this.sessions.get(item) : null;
    this.stage.ariaBusy = "true"; // nothing can be drawn before the mask is here
    try {
      const tell = (saver, problem) => this.tell(saver, problem);
      const session = this.session ?? (await Session.open(this.digest, item, this.size, tell));
      if (this.wanted !== item) return;
      this.sessions.set(item, session);
      this.session = session;
      this.#show(item);
    } catch (error) {
      if (!(error instanceof NoMaskError)) throw error;
      this.stage.ariaBusy = "false";
      this.#notice(error.message, ["retry"]);
    }
  }

  #show(item) {
    const { session, board } = this;
    const others = [...item.parentElement.children].filter((other) => other !== item);
    const layers = others.map((other) => this.#layer(other)).filter(Boolean);
    const colour = item.querySelector(".swatch rect").getAttribute("fill");
    const parts = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    board.mask.canvas.dataset.channel = item.dataset.channel;
    board.show(session.mask.pixels, parts, item.dataset.hatch, layers);
    const name = item.querySelector("label").textContent.trim();
    this.root.querySelector(".editor-title").textContent = name;
    this.stage.setAttribute("aria-label", `Mask of ${name}: draw with mouse, pen or finger`);
    this.stage.ariaBusy = "false";
    if (session.recover()) this.#recovered();
    this.tell(session.saver, "");
    this.root.dispatchEvent(new CustomEvent("editor-shown", { bubbles: true }));
  }

  #recovered() {
    this.board.draw(this.session.mask.pixels);
    toast("What was drawn here before and could not be saved is put back. Undo takes it away.");
  }

  /** Where the mask of another row lies. */
  #layer({ dataset: { row, channel, mask, hatch, own } }) {
    if (mask) return { address: `/labels/${this.digest}/painted/${channel}/${mask}`, hatch, own };
    return Number(row) < 0 ? null : { address: `/labels/${this.digest}/masks/${row}`, hatch, own };
  }

  /** Take a tool. */
  take(name) {
    this.tool?.leave();
    this.tool = this.tools[name];
    for (const button of this.root.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === name));
    }
    this.root.querySelector("#threshold").disabled = name !== "region";
    this.root.querySelector("#brush-size").disabled = name !== "brush" && name !== "eraser";
    this.stage.dataset.tool = name;
    this.changed(false);
  }

  /** Whether a shape is begun that waits for being taken. */
  changed(isPending) {
    for (const name of ["apply", "drop"]) this.root.querySelector(`[data-edit="${name}"]`).disabled = !isPending;
  }

  /** Take an area into the mask (1) or out of it (0): one stroke. */
  merge(area, value) {
    const { mask } = this.session;
    mask.begin();
    mask.merge(area, value);
    if (!this.session.commit()) toast("That changes nothing.");
    this.board.draw(mask.pixels);
  }

  /** How alike all pixels are to one, 0 to 255 each; null where that cannot be told, which is said. */
  affinity(x, y) {
    return alike(`/labels/${this.digest}/affinity/${this.image}?x=${x}&y=${y}`, ...this.size);
  }

  /** What the server makes of the strokes. */
  tell(saver, problem) {
    if (saver !== this.session?.saver) return;
    const words = { saved: "Saved", saving: "Saving…", failed: "Not saved", conflict: "Not saved" };
    this.root.querySelector(".editor-status").textContent = words[saver.status];
    if (saver.status === "failed") this.#notice("This is not saved, and is kept here. Save it again.", ["retry"]);
    else if (saver.status === "conflict") this.#notice(problem, ["theirs", "mine"]);
    else this.#notice("", []);
  }

  #notice(text, offered) {
    const notice = this.root.querySelector(".editor-notice");
    notice.hidden = !text;
    if (text) notice.querySelector("p").textContent = text; // what was told stays where it is told again
    for (const button of notice.querySelectorAll("button")) button.hidden = !offered.includes(button.dataset.edit);
  }

  turn(what) {
    if (!this.session || this.tool.drop()) return;
    const box = this.session[what]();
    if (box) this.board.draw(this.session.mask.pixels, box);
    else toast(what === "undo" ? "No stroke is left to take back." : "No stroke is left to do again.");
  }

  resize(factor) {
    const input = this.root.querySelector("#brush-size");
    const size = this.options.size * factor;
    input.value = Math.max(1, factor > 1 ? Math.ceil(size) : Math.floor(size));
    input.dispatchEvent(new Event("input"));
  }

  retry() {
    return this.session ? this.session.saver.run() : this.open(this.wanted);
  }

  async theirs() {
    this.session.saver.drop();
    this.sessions.delete(this.wanted);
    await this.open(this.wanted);
  }

  subtract() {
    this.options.isSubtract = !this.options.isSubtract;
    this.root.querySelector('[data-edit="subtract"]').setAttribute("aria-pressed", String(this.options.isSubtract));
  }

  /** What buttons and keys do. */
  #doing() {
    return {
      apply: () => this.tool.apply(),
      drop: () => this.tool.drop(),
      undo: () => this.turn("undo"),
      redo: () => this.turn("redo"),
      holes: () => this.session && this.merge(this.session.mask.holes(), 1),
      subtract: () => this.subtract(),
      retry: () => this.retry(),
      theirs: () => this.theirs(),
      mine: () => this.session.insist(),
    };
  }

  #listen(viewer) {
    const doing = this.#doing();
    this.root.addEventListener("click", (event) => {
      const { tool, edit } = event.target.closest("button")?.dataset ?? {};
      if (tool) this.take(tool);
      if (edit) doing[edit]();
      if ((tool || edit) && event.detail) this.stage.focus({ preventScroll: true }); // pressed by a pointer
    });
    this.#field("brush-size", (value) => (this.options.size = value));
    this.#field("threshold", (value) => {
      this.options.threshold = Math.round(value * 2.55);
      this.tools.region.refresh();
    });
    viewer.addEventListener("row-chosen", ({ detail }) => {
      if (!this.root.hidden && detail !== this.wanted) this.open(detail);
    });
    document.addEventListener("row-changed", ({ target }) => this.#outside(target));
    this.#keys(doing);
  }

  /** A row was changed by something else than a stroke: by a verdict that drops its mask, or by the review's undo. */
  #outside(item) {
    if (item !== this.wanted || !this.session || this.session.item !== item || this.session.isCurrent) return;
    if (!this.root.hidden) this.open(item);
  }

  #field(id, take) {
    const input = this.root.querySelector(`#${id}`);
    const show = () => {
      take(Number(input.value));
      this.root.querySelector(`output[for="${id}"]`).textContent = input.value;
    };
    input.addEventListener("input", show);
    show();
  }

  #keys(doing) {
    const only = (act) => (event) => (this.root.hidden ? false : act(event));
    const take = (name) => () => this.take(name);
    const keys = {
      b: take("brush"),
      d: take("eraser"),
      p: take("polygon"),
      g: take("region"),
      m: doing.holes,
      s: doing.subtract,
      u: doing.undo,
      U: doing.redo,
      "[": () => this.resize(1 / 1.25),
      "]": () => this.resize(1.25),
      Enter: (event) => (event.target.closest("button, a, summary") ? false : doing.apply()),
      Escape: doing.drop,
    };
    listen(Object.fromEntries(Object.entries(keys).map(([key, act]) => [key, only(act)])));
    document.addEventListener("keydown", (event) => {
      const isTurn = (event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "z";
      if (!isTurn || this.root.hidden || isWriting(event)) return;
      event.preventDefault();
      this.turn(event.shiftKey ? "redo" : "undo");
    });
  }
}
