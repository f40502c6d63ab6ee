// The few things that every panel does to the document.

/**
 * Return the element of an id.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${kind.name} ${id}`);
  return found;
}

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Partial<HTMLElementTagNameMap[K]>} [properties]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  Object.assign(made, properties);
  made.append(...children);
  return made;
}

/**
 * Set the text of an element where it differs: an unchanged one costs no layout.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A row of buttons of which some are pressed.
 * @template T
 */
export class Choice {
  /**
   * @param {HTMLElement} container
   * @param {(value: T) => void} onPress
   */
  constructor(container, onPress) {
    this.container = container;
    this.onPress = onPress;
    /** @type {{value: T, button: HTMLButtonElement}[]} */
    this.entries = [];
    this.drawnFor = "";
  }

  /**
   * @param {{value: T, text: string | Node, label?: string}[]} entries
   * @param {string} key entries of the same key are the same
   */
  offer(entries, key) {
    if (key === this.drawnFor) return;
    this.drawnFor = key;
    this.entries = entries.map(({ value, text, label }) => {
      const button = make("button", { type: "button", onclick: () => this.onPress(value) }, text);
      if (label !== undefined) button.setAttribute("aria-label", label);
      if (label !== undefined) button.title = label;
      return { value, button };
    });
    this.container.replaceChildren(...this.entries.map(({ button }) => button));
  }

  /** @param {(value: T) => boolean} isPressed */
  mark(isPressed) {
    for (const { value, button } of this.entries) button.setAttribute("aria-pressed", String(isPressed(value)));
  }
}
