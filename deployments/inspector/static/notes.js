// Notes of rows: kept when the field is left, shown as they are by now, and never dropped while they are being written.

import { judge } from "./rows.js";
import { toast } from "./toasts.js";

/** Let a row's note be written. */
export function withNote(digest, item) {
  const field = item.querySelector(".row-note input");
  let shown = field.value;
  item.querySelector(".row-note").hidden = false;
  item.querySelector(".note-text")?.remove();
  field.addEventListener("change", async () => {
    const note = field.value;
    if (note !== item.dataset.note && (await judge(digest, "note", [item], note))) toast("Note kept");
  });
  item.addEventListener("row-changed", ({ detail: { note } }) => {
    if (field.value === shown) field.value = note;
    else if (field.value !== note) return; // what is being written, or could not be kept, stays
    shown = field.value;
  });
  window.addEventListener("beforeunload", (event) => {
    if (field.value !== shown) event.preventDefault();
  });
}
