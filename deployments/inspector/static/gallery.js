// The gallery: tiles are chosen and judged, by mouse or by keys.

import { toggleHatching } from "./hatching.js";
import { listen } from "./keys.js";
import { judge, step } from "./rows.js";
import { change } from "./server.js";
import { toast } from "./toasts.js";

const gallery = document.getElementById("gallery");
const { digest, asked } = gallery.dataset;
const tiles = [...document.querySelectorAll("#tiles > li")];
const links = tiles.map((tile) => tile.querySelector("a"));
const boxes = tiles.map(withBox);
let last = 0;

function withBox(tile) {
  const label = document.createElement("label");
  label.className = "tile-select";
  const box = document.createElement("input");
  box.type = "checkbox";
  box.setAttribute("aria-label", `choose ${tile.querySelector(".tile-mask").alt}`);
  label.append(box);
  tile.prepend(label);
  box.addEventListener("change", () => tile.classList.toggle("tile-selected", box.checked));
  return box;
}

function choose(index, isChosen) {
  boxes[index].checked = isChosen;
  tiles[index].classList.toggle("tile-selected", isChosen);
}

const here = () => tiles.findIndex((tile) => tile.contains(document.activeElement));
const chosen = () => tiles.filter((_, index) => boxes[index].checked);

function focusOn(index) {
  links[Math.max(0, Math.min(links.length - 1, index))]?.focus();
}

/** Tiles of a line, as they are laid out now. */
function columns() {
  const top = tiles[0]?.offsetTop;
  const next = tiles.findIndex((tile) => tile.offsetTop !== top);
  return next < 0 ? tiles.length : next;
}

async function act(what) {
  const many = chosen();
  const place = here();
  const items = many.length ? many : place >= 0 ? [tiles[place]] : [];
  if (!items.length) return toast("Choose a mask first: click its box, or go to it with the arrow keys.");
  if (!many.length) focusOn(place + 1);
  await judge(digest, what, items);
  tiles.forEach((_, index) => choose(index, false));
}

async function bulk(button) {
  const count = Number(gallery.dataset.unreviewed);
  if (!count || !confirm(`Accept ${count} masks that nobody has looked at?`)) return;
  button.disabled = true;
  const answer = await change(`/api/labels/${digest}/bulk`, () => ({ what: "accept", asked, count }));
  if (answer) location.reload();
  button.disabled = false;
}

async function apply(button) {
  button.disabled = true;
  toast("Making the reviewed label set…");
  const answer = await change(`/api/labels/${digest}/apply`, () => ({}));
  button.disabled = false;
  if (answer) location.assign(`/labels/${answer.digest}/about`);
}

/** IoU of every mask with the truth, where there is one; the page is shown anew, sorted by it. */
async function truth(button) {
  button.disabled = true;
  const begun = await change(`/api/labels/${digest}/truth`, () => ({}));
  for (let state = begun; state; state = await later(`/api/labels/${digest}/truth`)) {
    if (state.finished) return location.assign("?sort=iou");
    button.textContent = state.total ? `Compared: ${state.done} of ${state.total} images` : "Comparing…";
  }
  button.disabled = false;
}

/** What the server says of a piece of work a second from now; null for a problem, which is told. */
async function later(path) {
  await new Promise((resolve) => setTimeout(resolve, 1000));
  const response = await fetch(path).catch(() => null);
  if (response?.ok) return response.json();
  toast(response ? (await response.json()).problem : "The server cannot be reached.", true);
  return null;
}

const doing = { truth, bulk, apply, undo: () => step(digest, "undo"), redo: () => step(digest, "redo") };

document.getElementById("tools").hidden = false;
document.getElementById("tools").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.act) act(button.dataset.act);
  else if (button) doing[button.dataset.do](button);
});
links.forEach((link, index) => {
  link.addEventListener("click", (event) => {
    if (event.shiftKey) for (let k = Math.min(last, index); k <= Math.max(last, index); k += 1) choose(k, true);
    if (event.ctrlKey || event.metaKey) choose(index, !boxes[index].checked);
    if (event.shiftKey || event.ctrlKey || event.metaKey) event.preventDefault();
    last = index;
  });
});
for (const select of document.querySelectorAll(".filters select, .filters input[type=checkbox]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
const move = (by) => () => focusOn(here() < 0 ? 0 : here() + by);
listen({
  a: () => act("accept"),
  r: () => act("reject"),
  x: () => act("absent"),
  c: () => act("clear"),
  u: doing.undo,
  U: doing.redo,
  ArrowRight: move(1),
  ArrowLeft: move(-1),
  ArrowDown: () => move(columns())(),
  ArrowUp: () => move(-columns())(),
  " ": () => (here() < 0 ? false : choose(here(), !boxes[here()].checked)),
  t: toggleHatching,
  j: move(1),
  k: move(-1),
  "]": () => document.querySelector('a[rel="next"]')?.click(),
  "[": () => document.querySelector('a[rel="prev"]')?.click(),
});
