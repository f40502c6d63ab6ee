// Keys, and the overlay that lists them.

import { byId, make } from "./dom.js";

/**
 * @typedef {{keys: string[], text: string, run: (key: string) => void}} Shortcut
 *   keys as KeyboardEvent.key names them, letters in lower case; one, or the keys from the first to the last
 */

export class Keyboard {
  /** @param {Shortcut[]} shortcuts */
  constructor(shortcuts) {
    this.dialog = byId("help", HTMLDialogElement);
    const list = byId("help-keys", HTMLDListElement);
    for (const { keys, text } of shortcuts) {
      const ends = keys.length > 1 ? [keys[0], keys[keys.length - 1]] : keys;
      const joined = ends.flatMap((key, index) => (index ? [" to ", kbd(key)] : [kbd(key)]));
      list.append(make("dt", {}, ...joined), make("dd", {}, text));
    }
    byId("help-open", HTMLButtonElement).onclick = () => this.open();
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || this.dialog.open) return;
      if (event.key === " " && event.target instanceof HTMLButtonElement) return; // it presses the button
      const found = shortcuts.find(({ keys }) => keys.includes(event.key.toLowerCase()));
      if (found === undefined) return;
      event.preventDefault();
      found.run(event.key);
    });
  }

  open() {
    if (!this.dialog.open) this.dialog.showModal();
  }
}

/** @param {string} key */
function kbd(key) {
  return make("kbd", {}, key === " " ? "Space" : key.length === 1 ? key.toUpperCase() : key);
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  if (target instanceof HTMLInputElement) return target.type !== "checkbox";
  return target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}
