// Strokes over masks, so that classes are told apart without colour: a button, a key, and what was chosen last.

import { kept, keep } from "./kept.js";

const button = document.getElementById("hatching");

function show(isOn) {
  document.documentElement.toggleAttribute("data-hatching", isOn);
  button?.setAttribute("aria-pressed", String(isOn));
}

/** Hatch masks, or no longer. */
export function toggleHatching() {
  const isOn = !document.documentElement.hasAttribute("data-hatching");
  keep("hatching", isOn, "localStorage");
  show(isOn);
}

if (button) button.hidden = false;
button?.addEventListener("click", toggleHatching);
show(kept("hatching", false, "localStorage") === true);
