// What is seen while a mask is corrected: the image, the other masks faintly, the mask, and marks of the tools.

const SVG = "http://www.w3.org/2000/svg";
const REGION = 0xd0ffffff;

export class Board {
  /** stage: a `.pane-view` with an empty `.pane-stack`. width, height: of the image. image: its address. */
  constructor(stage, width, height, image) {
    Object.assign(this, { stage, width, height });
    this.stack = stage.querySelector(".pane-stack");
    this.mask = this.#canvas("pane-layer editor-mask");
    this.region = this.#canvas("editor-region");
    this.overlay = document.createElementNS(SVG, "svg");
    this.overlay.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.overlay.setAttribute("class", "editor-overlay");
    this.overlay.setAttribute("aria-hidden", "true");
    this.brush = this.#mark("circle", "editor-brush");
    this.line = this.#mark("polyline", "editor-line");
    this.stack.append(this.#picture(image, "pane-image"), this.mask.canvas, this.region.canvas, this.overlay);
    stage.style.setProperty("--aspect", String(width / height));
  }

  /** Show a row: its pixels in its colour, and addresses of the other masks of the image. */
  show(pixels, [red, green, blue], hatch, others) {
    this.mask.colour = new Uint32Array(new Uint8ClampedArray([red, green, blue, 255]).buffer)[0];
    this.mask.canvas.dataset.hatch = hatch;
    this.stack.querySelectorAll(".editor-other").forEach((other) => other.remove());
    for (const { address, ...hatches } of others) {
      const layer = this.#picture(address, "editor-other");
      Object.assign(layer.dataset, hatches);
      this.mask.canvas.before(layer);
    }
    this.draw(pixels);
  }

  /** Draw a box of the mask, all of it where none is given. */
  draw(pixels, box = [0, 0, this.width, this.height]) {
    this.#put(this.mask, pixels, box);
  }

  /** Draw an area that is not part of the mask yet; null for none. */
  drawRegion(area) {
    this.region.canvas.hidden = !area;
    if (area) this.#put({ ...this.region, colour: REGION }, area, [0, 0, this.width, this.height]);
  }

  /** Show how large the brush is at a point; none without a point. */
  drawBrush(point, radius) {
    this.brush.setAttribute("visibility", point ? "visible" : "hidden");
    if (!point) return;
    const [cx, cy] = point;
    for (const [name, value] of Object.entries({ cx, cy, r: radius })) this.brush.setAttribute(name, value);
  }

  /** Show the corners of a polygon, and the line to where the pointer is. */
  drawLine(points) {
    this.line.setAttribute("points", points.map((point) => point.map((value) => value.toFixed(2)).join(",")).join(" "));
  }

  #put({ context, data, words, colour }, pixels, [left, top, right, bottom]) {
    if (right <= left || bottom <= top) return;
    for (let y = top; y < bottom; y += 1) {
      const end = y * this.width + right;
      for (let at = y * this.width + left; at < end; at += 1) words[at] = pixels[at] ? colour : 0;
    }
    context.putImageData(data, 0, 0, left, top, right - left, bottom - top);
  }

  #canvas(className) {
    const { width, height } = this;
    const canvas = Object.assign(document.createElement("canvas"), { className, width, height });
    const context = canvas.getContext("2d");
    const data = context.createImageData(width, height);
    return { canvas, context, data, words: new Uint32Array(data.data.buffer), colour: 0 };
  }

  #picture(src, className) {
    return Object.assign(new Image(this.width, this.height), { src, className, alt: "", draggable: false });
  }

  #mark(kind, className) {
    const mark = document.createElementNS(SVG, kind);
    mark.setAttribute("class", className);
    this.overlay.append(mark);
    return mark;
  }
}
