// Before anything is drawn: the look that was chosen last, so that nothing flashes.
"use strict";
try {
  const chosen = JSON.parse(localStorage.getItem("wilss-theme"));
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // storage is switched off: the system's look it is
}
