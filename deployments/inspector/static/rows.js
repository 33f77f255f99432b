// Rows of the page that a person may judge: `li` with data-image, data-channel, data-version and data-status.

import { change } from "./server.js";
import { toast } from "./toasts.js";

const WORDS = { accept: "accepted", reject: "rejected", absent: "not here", clear: "cleared", missing: "missing" };

/** Say something of rows; resolves to the answer or null. */
export async function judge(digest, what, items, note = "") {
  const rows = () => items.map((item) => ["image", "channel", "version"].map((name) => Number(item.dataset[name])));
  const answer = await change(`/api/labels/${digest}/acts`, () => ({ what, rows: rows(), note }));
  if (answer) update(answer.rows);
  if (answer && !answer.refused && WORDS[what]) {
    const of = items.length === 1 ? "" : `${items.length} masks `;
    toast(`${of}${WORDS[what]}`);
  }
  return answer && !answer.refused ? answer : null;
}

/** Take back, or do again, one's own last act. */
export async function step(digest, what) {
  const answer = await change(`/api/labels/${digest}/${what}`, () => ({}));
  if (!answer) return null;
  update(answer.rows);
  if (!answer.refused) toast(`${what === "undo" ? "Taken back" : "Done again"}: ${answer.touched} mask${answer.touched === 1 ? "" : "s"}`);
  return answer;
}

/** Show what rows are by now. */
export function update(rows) {
  for (const row of rows) {
    const where = `[data-image="${row.image}"][data-channel="${row.channel}"]`;
    for (const item of document.querySelectorAll(`li${where}`)) show(item, row);
  }
}

function show(item, row) {
  Object.assign(item.dataset, { version: row.version, status: row.status, mask: row.mask, note: row.note });
  const badge = item.querySelector(".badge");
  badge.className = `badge badge-${row.status}`;
  badge.textContent = row.status;
  item.dispatchEvent(new CustomEvent("row-changed", { bubbles: true, detail: row }));
}
