// The tools of the editor. Each gets points in pixels of the image; `desk` is what they work on.
//
// desk: { board, session, options: { size, threshold, isSubtract }, affinity(x, y), changed(isPending) }

import { flood, polygon } from "./shapes.js";

/** A brush; an eraser where `isErasing`. */
class Brush {
  constructor(desk, isErasing) {
    Object.assign(this, { desk, isErasing, last: null });
  }

  get radius() {
    return this.desk.options.size / 2;
  }

  down(point) {
    this.desk.session.mask.begin();
    this.last = point;
    this.move([point]);
  }

  move(points) {
    const { board, session } = this.desk;
    for (const point of this.last ? points : []) {
      const value = this.isErasing !== this.desk.options.isSubtract ? 0 : 1;
      board.draw(session.mask.pixels, session.mask.line(this.last, point, this.radius, value));
      this.last = point;
    }
    this.hover(points[points.length - 1]);
  }

  up() {
    if (this.last) this.desk.session.commit();
    this.last = null;
  }

  hover(point) {
    this.desk.board.drawBrush(point, this.radius);
  }

  apply() {
    return false;
  }

  /** Another tool is taken. */
  leave() {
    this.up();
    this.desk.board.drawBrush(null);
  }

  /** Drop the stroke that is begun; whether there was one. */
  drop() {
    const { board, session } = this.desk;
    board.drawBrush(null);
    if (!this.last) return false;
    this.last = null;
    session.mask.cancel();
    board.draw(session.mask.pixels);
    return true;
  }
}

/** Corners are clicked; Enter, a double click or a click at the first corner closes. */
class Polygon {
  constructor(desk) {
    Object.assign(this, { desk, points: [] });
  }

  down(point, near) {
    const [first] = this.points;
    if (this.points.length > 2 && Math.hypot(point[0] - first[0], point[1] - first[1]) < near) return this.apply();
    this.points.push(point);
    this.#show(point);
  }

  hover(point) {
    if (this.points.length) this.#show(point);
  }

  /** Close it; whether it was one. */
  apply() {
    const { session, options } = this.desk;
    const { points } = this;
    if (points.length < 3) return false;
    this.drop();
    this.desk.merge(polygon(points, session.mask.width, session.mask.height), options.isSubtract ? 0 : 1);
    return true;
  }

  /** Another tool is taken: corners that make a polygon are not lost. */
  leave() {
    if (!this.apply()) this.drop();
  }

  /** Drop the corners; whether there were any. */
  drop() {
    const had = this.points.length > 0;
    this.points = [];
    this.#show(null);
    return had;
  }

  #show(point) {
    const shown = point ? [...this.points, point] : this.points;
    this.desk.board.drawLine(shown.length > 2 ? [...shown, shown[0]] : shown);
    this.desk.changed(this.points.length > 2);
  }
}

/** A click marks what is like the point and hangs together with it; the slider says how like. */
class Region {
  constructor(desk) {
    Object.assign(this, { desk, begun: null, alike: null, area: null, asked: 0 });
  }

  async down(point) {
    const { width, height } = this.desk.session.mask;
    const [x, y] = [Math.min(width - 1, Math.floor(point[0])), Math.min(height - 1, Math.floor(point[1]))];
    if (x < 0 || y < 0) return;
    this.asked += 1;
    const mine = this.asked;
    const alike = await this.desk.affinity(x, y);
    if (!alike || mine !== this.asked) return; // another point was clicked meanwhile
    Object.assign(this, { alike, begun: y * width + x });
    this.refresh();
  }

  /** Mark it anew, as the slider was moved. */
  refresh() {
    if (!this.alike) return;
    const { width, height } = this.desk.session.mask;
    const least = this.desk.options.threshold;
    const { alike, begun } = this;
    this.area = flood([begun], (at) => at === begun || alike[at] >= least, width, height);
    this.desk.board.drawRegion(this.area);
    this.desk.changed(true);
  }

  /** Take it into the mask, or out of it; whether there was one. */
  apply() {
    const { area } = this;
    if (!this.drop()) return false;
    this.desk.merge(area, this.desk.options.isSubtract ? 0 : 1);
    return true;
  }

  /** Another tool is taken. */
  leave() {
    this.drop();
  }

  /** Drop it; whether there was one. */
  drop() {
    const had = this.area !== null;
    this.asked += 1;
    Object.assign(this, { alike: null, area: null });
    this.desk.board.drawRegion(null);
    this.desk.changed(false);
    return had;
  }
}

/** All tools by name. */
export const makeTools = (desk) => ({
  brush: new Brush(desk, false),
  eraser: new Brush(desk, true),
  polygon: new Polygon(desk),
  region: new Region(desk),
});
