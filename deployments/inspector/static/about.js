// About a label set: its review is applied.

import { change } from "./server.js";

const review = document.getElementById("review");
const button = document.getElementById("apply");

async function apply() {
  const said = document.getElementById("applied");
  button.disabled = true;
  said.textContent = "Making the reviewed label set…";
  const answer = await change(`/api/labels/${review.dataset.digest}/apply`, () => ({}));
  button.disabled = false;
  said.textContent = "";
  if (!answer) return;
  const link = document.createElement("a");
  link.href = `/labels/${answer.digest}/about`;
  link.textContent = `Label set ${answer.digest.slice(0, 12)}`;
  said.append(link, " is there: this one as it is after the review.");
}

if (button) {
  button.hidden = false;
  button.addEventListener("click", apply);
}
