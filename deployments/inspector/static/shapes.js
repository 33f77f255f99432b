// Areas of an image, one byte a pixel: 1 is in.

/** Inside a polygon of points [x, y], in pixels; where it crosses itself, every second area is in. */
export function polygon(points, width, height) {
  const area = new Uint8Array(width * height);
  const low = Math.max(0, Math.floor(Math.min(...points.map(([, y]) => y))));
  const high = Math.min(height - 1, Math.ceil(Math.max(...points.map(([, y]) => y))));
  for (let y = low; y <= high; y += 1) {
    const cuts = crossings(points, y + 0.5);
    for (let k = 0; k + 1 < cuts.length; k += 2) {
      const [from, to] = [Math.max(0, Math.ceil(cuts[k] - 0.5)), Math.min(width, Math.ceil(cuts[k + 1] - 0.5))];
      if (to > from) area.fill(1, y * width + from, y * width + to);
    }
  }
  return area;
}

function crossings(points, y) {
  const cuts = [];
  points.forEach(([x0, y0], index) => {
    const [x1, y1] = points[(index + 1) % points.length];
    if (y0 <= y !== y1 <= y) cuts.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
  });
  return cuts.sort((a, b) => a - b);
}

/** What hangs together with the pixels `begun` (places in the image) and `isIn` says is in; by edges, not corners. */
export function flood(begun, isIn, width, height) {
  const area = new Uint8Array(width * height);
  const stack = new Int32Array(width * height);
  let size = 0;
  const take = (at) => {
    if (area[at] || !isIn(at)) return;
    area[at] = 1;
    stack[size] = at;
    size += 1;
  };
  begun.forEach(take);
  while (size) {
    size -= 1;
    const at = stack[size];
    const x = at % width;
    if (x > 0) take(at - 1);
    if (x < width - 1) take(at + 1);
    if (at >= width) take(at - width);
    if (at < width * (height - 1)) take(at + width);
  }
  return area;
}

/** Pixels of holes: what is out, and cannot be reached from the border. */
export function holes(pixels, width, height) {
  const border = [];
  for (let x = 0; x < width; x += 1) border.push(x, x + width * (height - 1));
  for (let y = 0; y < height; y += 1) border.push(y * width, y * width + width - 1);
  const outside = flood(border, (at) => !pixels[at], width, height);
  return pixels.map((pixel, at) => (pixel || outside[at] ? 0 : 1));
}
