// Pointers over the stage of the editor: mouse, pen or finger, as points of the image for the tool that is taken.

const NEAR = 9; // pixels of the screen

export class Drawing {
  /** size: of the image. tool: gives the tool, or null while there is nothing to draw on. */
  constructor(stage, sight, size, tool) {
    Object.assign(this, { stage, sight, size, tool, pointer: null });
    const listeners = {
      pointerdown: (event) => this.#down(event),
      pointermove: (event) => this.#move(event),
      pointerup: (event) => this.#up(event),
      pointercancel: () => this.drop(),
      "sight-taken": () => this.drop(),
      pointerleave: () => this.pointer === null && this.tool()?.hover?.(null),
      dblclick: () => this.tool()?.apply(),
      contextmenu: (event) => event.preventDefault(),
    };
    for (const [name, act] of Object.entries(listeners)) stage.addEventListener(name, act);
    this.#space();
  }

  /** Drop what the pointer began. */
  drop() {
    if (this.pointer !== null) this.tool()?.drop();
    this.pointer = null;
  }

  #point(event) {
    const [u, v] = this.sight.at(this.stage, event.clientX, event.clientY);
    return [u * this.size[0], v * this.size[1]];
  }

  #down(event) {
    const tool = this.tool();
    if (!tool || event.button !== 0 || !event.isPrimary || this.stage.dataset.held !== "draw") return;
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    this.stage.focus({ preventScroll: true });
    this.pointer = event.pointerId;
    const width = this.stage.getBoundingClientRect().width * this.sight.scale;
    tool.down(this.#point(event), (NEAR * this.size[0]) / width);
  }

  #move(event) {
    const tool = this.tool();
    if (!tool) return;
    if (this.pointer !== event.pointerId || !tool.move) return void tool.hover?.(this.#point(event));
    const all = event.getCoalescedEvents?.() ?? [];
    tool.move((all.length ? all : [event]).map((each) => this.#point(each)));
  }

  #up(event) {
    if (this.pointer !== event.pointerId) return;
    this.pointer = null;
    this.tool()?.up?.();
  }

  /** While the space bar is held, the pointer moves what is seen. */
  #space() {
    const { stage } = this;
    document.addEventListener("keydown", (event) => {
      const isFree = event.target === document.body || event.target === stage;
      if (event.key !== " " || !isFree || !stage.offsetParent) return;
      event.preventDefault();
      if (this.pointer === null) stage.dataset.held = "pan";
    });
    const end = () => (stage.dataset.held = "draw");
    document.addEventListener("keyup", (event) => event.key === " " && end());
    window.addEventListener("blur", end);
  }
}
