// Changes on the server: one after the other, so that each one names the version that the one before left.

import { toast } from "./toasts.js";

const tag = (name, page = document) => page.querySelector(`meta[name="${name}"]`);
const meta = (name) => tag(name)?.content ?? "";
let line = Promise.resolve();
let waiting = 0;

/** Who is reviewing: as the server was told. */
export const who = () => meta("wilss-who");

/** Whether something is on its way. */
export const isBusy = () => waiting > 0;

/**
 * Send a change when all before it are answered. `make` gives its body then, a plain object or a Blob; `path` is a
 * text, or gives one then, so that it can name a version that a change before left.
 * Resolves to the answer; to null when it was refused, or the server was not reached: that is told.
 */
export function change(path, make) {
  waiting += 1;
  const answer = line.then(() => post(typeof path === "function" ? path() : path, make())).finally(() => (waiting -= 1));
  line = answer.catch(() => null);
  return answer;
}

function send(path, body) {
  const isBlob = body instanceof Blob;
  // a header holds Latin-1 only, a name any letters
  const headers = { "x-wilss-token": meta("wilss-token"), "x-wilss-who": encodeURIComponent(who()) };
  if (!isBlob) headers["content-type"] = "application/json";
  return fetch(path, { method: "POST", headers, body: isBlob ? body : JSON.stringify(body ?? {}) });
}

/** Take the token of a server that was started again from this page as it is now; whether there was another one. */
async function renew() {
  const response = await fetch(location.href);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const token = tag("wilss-token", page)?.content;
  if (!token || token === meta("wilss-token")) return false;
  tag("wilss-token").content = token;
  return true;
}

async function post(path, body) {
  let response;
  try {
    response = await send(path, body);
    if (response.status === 403 && (await renew())) response = await send(path, body);
  } catch {
    toast("Not saved: the server cannot be reached. Start it again, then repeat this.", true);
    return null;
  }
  const text = await response.text();
  const content = parsed(text);
  if (response.ok) return content;
  toast(content?.problem ?? text.trim(), true);
  return response.status === 409 && content ? { refused: true, ...content } : null;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

window.addEventListener("beforeunload", (event) => {
  if (isBusy()) event.preventDefault();
});
