// One image: layers, zoom and pan that stay, verdicts, the next image.

import { toggleHatching } from "./hatching.js";
import { kept, keep } from "./kept.js";
import { listen } from "./keys.js";
import { withNote } from "./notes.js";
import { showPainted } from "./painted.js";
import { judge, step } from "./rows.js";
import { Sight } from "./sight.js";
import { toast } from "./toasts.js";

const viewer = document.getElementById("viewer");
const { digest } = viewer.dataset;
const list = document.getElementById("rows");
const items = [...list.children];
const panes = [...document.querySelectorAll(".panes .pane-view")];
const sight = new Sight(panes, Number(viewer.dataset.width), Number(viewer.dataset.height));
let current = 0;

// Pictures that cannot be made say why in place of the layer.
for (const layer of document.querySelectorAll(".pane-layer")) {
  const tell = async () => {
    const response = await fetch(layer.src).catch(() => null);
    const said = response && response.status === 404 ? await response.text() : "this picture cannot be loaded";
    const note = Object.assign(document.createElement("p"), { className: "pane-note", textContent: said });
    layer.closest(".pane-view")?.append(note); // gone already where it failed before this listened, and told so
    layer.remove();
  };
  layer.addEventListener("error", tell, { once: true });
  if (layer.complete && !layer.naturalWidth) tell();
}

// Opacity and hidden classes.
const opacity = document.getElementById("opacity");
document.getElementById("opacity-field").hidden = false;
opacity.value = kept("opacity", 60);
let isHidden = false;
const hidden = new Set(kept("hidden-classes", []));

function paint() {
  const share = isHidden ? 0 : opacity.value / 100;
  for (const layer of document.querySelectorAll(".pane-layer")) {
    const { channel } = layer.dataset;
    const item = items.find((each) => each.dataset.channel === channel);
    const isOut = item && hidden.has(nameOf(item)) && !layer.matches(".editor-mask"); // what is drawn is seen
    layer.style.opacity = isOut ? 0 : share;
  }
}
const nameOf = (item) => item.querySelector("label").textContent.trim();
opacity.addEventListener("input", () => {
  keep("opacity", Number(opacity.value));
  paint();
});
for (const item of items) {
  const box = item.querySelector(".class-toggle");
  box.disabled = false;
  box.checked = !hidden.has(nameOf(item));
  box.addEventListener("change", () => {
    hidden[box.checked ? "delete" : "add"](nameOf(item));
    keep("hidden-classes", [...hidden]);
    paint();
  });
}
paint();

// Rows.
function choose(index) {
  if (!items.length) return;
  current = Math.max(0, Math.min(items.length - 1, index));
  items.forEach((item, place) => {
    item.toggleAttribute("data-chosen", place === current);
    if (place === current) item.setAttribute("aria-current", "true");
    else item.removeAttribute("aria-current");
  });
  viewer.dispatchEvent(new CustomEvent("row-chosen", { detail: items[current] }));
}

async function act(what, item = items[current]) {
  if (!item) return toast("This image has no mask to judge.");
  const done = await judge(digest, what, [item]);
  if (done && what !== "clear") choose(items.indexOf(item) + 1);
}

items.forEach((item, index) => {
  item.addEventListener("click", () => choose(index));
  item.querySelector(".row-tools").hidden = false;
  item.querySelector(".row-tools").addEventListener("click", (event) => {
    const { act: what } = event.target.closest("button")?.dataset ?? {};
    if (what) act(what, item);
  });
  withNote(digest, item);
});
choose(kept("row", 0));
viewer.addEventListener("row-chosen", () => keep("row", current));

const missing = document.getElementById("missing");
if (missing) {
  missing.hidden = false;
  missing.addEventListener("click", async (event) => {
    if (event.target.dataset.do !== "missing") return;
    const channel = document.getElementById("missing-class").value;
    const item = { dataset: { image: viewer.dataset.image, channel, version: 0 } };
    if (await judge(digest, "missing", [item])) location.reload();
  });
}

// The tools of the toolbar.
async function back(what) {
  const answer = await step(digest, what);
  if (!answer || answer.refused) return;
  document.querySelector('[data-do="undo"]').disabled = !answer.undo;
  document.querySelector('[data-do="redo"]').disabled = !answer.redo;
  const other = answer.rows.find((row) => String(row.image) !== viewer.dataset.image);
  if (other) toast(`That was in another image (number ${other.image}).`);
}
async function edit() {
  await (await import("./editor.js")).toggle(viewer, items[current], sight);
  document.querySelector('[data-do="edit"]').setAttribute("aria-pressed", String(isEditing()));
}
const doing = { undo: () => back("undo"), redo: () => back("redo"), fit: () => sight.fit(), edit };
document.getElementById("tools").hidden = false;
document.getElementById("tools").addEventListener("click", (event) => {
  const { do: what } = event.target.closest("button")?.dataset ?? {};
  if (what) doing[what]();
});
list.addEventListener("row-changed", ({ target, detail }) => {
  document.querySelector('[data-do="undo"]').disabled = false;
  showPainted(viewer, detail, target, sight);
  paint();
});
viewer.addEventListener("editor-shown", paint);

const go = (id) => () => document.getElementById(id)?.click();
const isEditing = () => !document.getElementById("editor").hidden;
const numbered = Object.fromEntries(items.slice(0, 9).map((_, index) => [String(index + 1), () => choose(index)]));
listen({
  ...numbered,
  a: () => act("accept"),
  r: () => act("reject"),
  x: () => act("absent"),
  c: () => act("clear"),
  n: () => items[current]?.querySelector(".row-note input").focus(),
  u: () => (isEditing() ? false : doing.undo()),
  U: () => (isEditing() ? false : doing.redo()),
  e: () => doing.edit(),
  t: toggleHatching,
  j: go("next"),
  k: go("previous"),
  h: () => {
    isHidden = !isHidden;
    paint();
  },
  Tab: (event) => {
    if (items.length < 2 || (document.activeElement !== document.body && document.activeElement)) return false;
    choose((current + (event.shiftKey ? items.length - 1 : 1)) % items.length);
  },
  "+": () => sight.zoom(1.25),
  "=": () => sight.zoom(1.25),
  "-": () => sight.zoom(0.8),
  0: () => sight.fit(),
  ArrowLeft: () => sight.pan(60, 0),
  ArrowRight: () => sight.pan(-60, 0),
  ArrowUp: () => sight.pan(0, 60),
  ArrowDown: () => sight.pan(0, -60),
});

// Neighbours are fetched while this one is looked at.
window.addEventListener("load", () => {
  for (const image of viewer.dataset.ahead.split(" ").filter(Boolean)) {
    new Image().src = `/labels/${digest}/pictures/image/${image}`;
  }
});
