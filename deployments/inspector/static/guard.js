// Nothing drawn is lost by going on: links wait until all is kept, and a page that cannot keep it asks.

import { toast } from "./toasts.js";

export class Guard {
  /** savers: gives all of the page. finish: ends what is being drawn. */
  constructor(savers, finish) {
    Object.assign(this, { savers, finish });
    document.addEventListener("click", (event) => this.#click(event), true);
    window.addEventListener("beforeunload", (event) => this.isPending && event.preventDefault());
  }

  /** Whether something is not kept yet. */
  get isPending() {
    return this.savers().some((saver) => saver.isPending);
  }

  #click(event) {
    const link = event.target instanceof Element && event.target.closest("a[href]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || link.target) return;
    this.finish();
    if (!this.isPending) return;
    event.preventDefault();
    this.#go(link.href);
  }

  async #go(address) {
    await Promise.all(this.savers().map((saver) => saver.run()));
    if (this.isPending) toast("A drawing of this image is not saved. Save it again, or leave it.", true);
    location.assign(address); // where something is not saved, the browser asks
  }
}
