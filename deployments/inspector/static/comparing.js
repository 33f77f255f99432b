// A comparison that is under way: looked at every second, and shown when it is there.

const { first, second } = document.getElementById("comparing").dataset;

function fail(problem) {
  document.querySelector("#comparing [role=status]").textContent = problem;
  document.getElementById("bar").hidden = true;
}

async function look() {
  const response = await fetch(`/api/labels/${first}/against/${second}`).catch(() => null);
  if (!response) return setTimeout(look, 3000);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) return fail(answer.problem ?? "The comparison failed.");
  if (answer.finished) return location.reload();
  document.getElementById("done").textContent = answer.done;
  document.getElementById("bar").value = answer.done;
  setTimeout(look, 1000);
}

setTimeout(look, 1000);
