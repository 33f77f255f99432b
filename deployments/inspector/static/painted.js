// The pane of masks that people painted: it follows what is painted, taken back or done again on this page.

/** Show the painted mask of a row as it is by now; makes the pane for the first one. */
export function showPainted(viewer, { channel, mask, class: name }, item, sight) {
  let pane = viewer.querySelector('.pane[data-pane="painted"]');
  if (!pane && mask) pane = made(viewer, sight);
  if (!pane) return;
  const stack = pane.querySelector(".pane-stack");
  stack.querySelector(`.pane-layer[data-channel="${channel}"]`)?.remove();
  pane.hidden = !mask && !stack.querySelector(".pane-layer");
  if (!mask) return;
  const { width, height, digest } = viewer.dataset;
  const layer = Object.assign(new Image(Number(width), Number(height)), { className: "pane-layer" });
  Object.assign(layer, { src: `/labels/${digest}/painted/${channel}/${mask}`, alt: `Corrected: ${name}` });
  Object.assign(layer.dataset, { channel, hatch: item.dataset.hatch, own: item.dataset.own });
  stack.append(layer);
}

function made(viewer, sight) {
  const panes = viewer.querySelector(".panes");
  const pane = panes.firstElementChild.cloneNode(true);
  for (const part of [pane, pane.querySelector(".pane-view")]) part.dataset.pane = "painted";
  pane.querySelector("figcaption strong").textContent = "Corrected";
  pane.querySelector("figcaption .hint").textContent = "painted by hand";
  pane.querySelector(".pane-image").alt = "";
  pane.querySelectorAll(".pane-layer, .pane-note").forEach((part) => part.remove());
  panes.insertBefore(pane, panes.querySelector('[data-pane="truth"].pane'));
  sight.add(pane.querySelector(".pane-view"));
  return pane;
}
