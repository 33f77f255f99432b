// Keys of a page: one letter each, never while somebody writes, nor with Ctrl, Alt or Meta.

const WRITING = 'input:not([type="checkbox"]):not([type="range"]), select, textarea';

/** Whether an event comes from where somebody writes. */
export const isWriting = ({ target }) => target instanceof Element && target.matches(WRITING);

/** Listen: `keys` names what is done for `event.key`; Shift makes letters capital. */
export function listen(keys) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (isWriting(event)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = keys[event.key];
    if (act && act(event) !== false) event.preventDefault();
  });
}
