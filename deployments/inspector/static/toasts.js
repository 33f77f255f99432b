// Short notes at the edge of the page, read aloud by screen readers.

/** Say something; what went wrong stays until it is clicked. */
export function toast(text, isBad = false) {
  const note = document.createElement("p");
  note.className = isBad ? "toast toast-bad" : "toast";
  note.textContent = text;
  note.addEventListener("click", () => note.remove());
  document.getElementById("toasts").append(note);
  setTimeout(() => note.remove(), isBad ? 12000 : 3000);
}
