// What stays when the page changes. Storage may be switched off or full: then it lasts as long as the page.

const memory = new Map();

/** The value of a key, or what is given instead. */
export function kept(key, otherwise, store = "sessionStorage") {
  try {
    const text = window[store].getItem(`wilss-${key}`);
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return memory.has(key) ? memory.get(key) : otherwise;
  }
}

/** Keep a value. */
export function keep(key, value, store = "sessionStorage") {
  memory.set(key, value);
  try {
    window[store].setItem(`wilss-${key}`, JSON.stringify(value));
  } catch {
    // kept in memory alone
  }
}
