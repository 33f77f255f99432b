// What part of the image is seen: one zoom and one place for all panes, which stay when the image changes.
//
// A pane whose `data-held` is "draw" keeps the first button and one finger to itself; the middle button, two fingers
// and the wheel are always the sight's. "sight-taken" tells it that a second finger ends what the first one began.

import { kept, keep } from "./kept.js";

const MOST = 32;
const middle = ([a, b]) => [(a.x + b.x) / 2, (a.y + b.y) / 2, Math.hypot(a.x - b.x, a.y - b.y)];

export class Sight {
  /** panes: elements whose first child is moved. width, height: of the image. */
  constructor(panes, width, height) {
    Object.assign(this, { panes: [], width, height, scale: 1, x: 0.5, y: 0.5 });
    Object.assign(this, kept("sight", {}));
    panes.forEach((pane) => this.add(pane));
  }

  /** One more pane. */
  add(pane) {
    this.panes.push(pane);
    this.#listen(pane);
    this.#show();
  }

  /** All of the image. */
  fit() {
    this.set(1, 0.5, 0.5);
  }

  /** Closer by a factor, around a point in shares of the image, the middle of what is seen if none is given. */
  zoom(factor, x = this.x, y = this.y) {
    const scale = Math.max(1, Math.min(MOST, this.scale * factor));
    const moved = this.scale / scale;
    this.set(scale, x + (this.x - x) * moved, y + (this.y - y) * moved);
  }

  /** Move by pixels of the screen. */
  pan(dx, dy, pane = this.panes[0]) {
    const box = pane.getBoundingClientRect();
    this.set(this.scale, this.x - dx / (box.width * this.scale), this.y - dy / (box.height * this.scale));
  }

  set(scale, x, y) {
    const edge = 0.5 / scale;
    const within = (value) => Math.max(edge, Math.min(1 - edge, value));
    Object.assign(this, { scale, x: within(x), y: within(y) });
    keep("sight", { scale: this.scale, x: this.x, y: this.y });
    this.#show();
  }

  /** The point of the image under a place on the screen, in shares of the image. */
  at(pane, clientX, clientY) {
    const box = pane.getBoundingClientRect();
    const [u, v] = [(clientX - box.left) / box.width, (clientY - box.top) / box.height];
    return [this.x + (u - 0.5) / this.scale, this.y + (v - 0.5) / this.scale];
  }

  #show() {
    const move = `scale(${this.scale}) translate(${(0.5 - this.x) * 100}%, ${(0.5 - this.y) * 100}%)`;
    for (const pane of this.panes) {
      pane.firstElementChild.style.transform = move;
      pane.style.touchAction = this.scale > 1 || pane.dataset.held ? "none" : "pan-x pan-y";
    }
  }

  #listen(pane) {
    const fingers = new Map();
    const end = ({ pointerId }) => fingers.delete(pointerId);
    pane.addEventListener("wheel", (event) => this.#wheel(pane, event), { passive: false });
    pane.addEventListener("pointerdown", (event) => this.#down(pane, event, fingers));
    pane.addEventListener("pointermove", (event) => this.#move(pane, event, fingers));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) pane.addEventListener(name, end);
    pane.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault()); // no scrolling by it
    pane.addEventListener("dblclick", (event) => {
      if (!pane.dataset.held) this.zoom(2, ...this.at(pane, event.clientX, event.clientY));
    });
  }

  #wheel(pane, event) {
    if (!event.ctrlKey && !event.shiftKey && this.scale === 1 && event.deltaY > 0) return;
    event.preventDefault();
    this.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, ...this.at(pane, event.clientX, event.clientY));
  }

  #down(pane, event, fingers) {
    const isTouch = event.pointerType === "touch";
    const isFree = pane.dataset.held !== "draw" || event.button === 1;
    if (!isTouch && (event.button > 1 || !isFree)) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 2) pane.dispatchEvent(new CustomEvent("sight-taken"));
    if (this.scale > 1 || fingers.size === 2) pane.setPointerCapture(event.pointerId);
  }

  #move(pane, event, fingers) {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const before = fingers.size === 2 && middle([...fingers.values()]);
    const here = { x: event.clientX, y: event.clientY };
    const isDrawn = pane.dataset.held === "draw" && event.pointerType === "touch";
    fingers.set(event.pointerId, here);
    if (before) this.#pinch(pane, before, middle([...fingers.values()]));
    else if (!isDrawn) this.pan(here.x - last.x, here.y - last.y, pane);
  }

  #pinch(pane, [x0, y0, spread0], [x1, y1, spread1]) {
    this.pan(x1 - x0, y1 - y0, pane);
    if (spread0 > 0) this.zoom(spread1 / spread0, ...this.at(pane, x1, y1));
  }
}
