// What the explorers share: elements, controls, grids of numbers. Python joins the files into one
// script, because a page opened from disk may not import its neighbours.

/** An element with attributes and children. */
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// On each element that takes focus: else JupyterLab's shortcuts take its arrow keys.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

/** A number as shown: integers in full, others to four digits, a true minus sign. */
const show = (v) => String(Number.isInteger(v) ? v : Number(v.toPrecision(4))).replaceAll("-", "−");
const factor = (v) => (v < 0 ? `(${show(v)})` : show(v));
const pair = ([r, c]) => `(${show(r)}, ${show(c)})`;
const range = (n) => Array.from({ length: n }, (_, i) => i);
const clamp = (cell, size) => cell.map((v, axis) => Math.max(0, Math.min(size[axis] - 1, v)));
const shape = (values) => [values.length, values[0].length];

/** Change the state: here, in the kernel where there is one, and in whatever listens. */
function put(model, name, value) {
  model.set(name, value);
  model.save_changes();
}

/** Sliders and choices for model.get("controls"); `update` lays the model's values into them. */
function controlPanel(model) {
  const node = h("div", { class: "cx-controls" });
  const group = `cx-${Math.random().toString(36).slice(2)}-`;
  const updates = model.get("controls").map(({ name, label, low, high, options }) => {
    if (options) {
      const radios = options.map(([value, text]) => {
        const radio = h("input", { type: "radio", name: group + name, value, ...OWN_KEYS });
        radio.addEventListener("change", () => put(model, name, value));
        return [h("label", {}, radio, " " + text), radio];
      });
      node.append(h("fieldset", {}, h("legend", {}, label), ...radios.map(([labelled]) => labelled)));
      return () => radios.forEach(([, radio]) => (radio.checked = radio.value === model.get(name)));
    }
    const slider = h("input", { type: "range", min: low, max: high, "data-name": name, ...OWN_KEYS });
    const value = h("span", { class: "cx-value", "aria-hidden": "true" }); // the slider says it
    slider.addEventListener("input", () => put(model, name, Number(slider.value)));
    node.append(h("label", {}, label + " ", slider, value));
    return () => (value.textContent = slider.value = model.get(name));
  });
  return { node, update: () => updates.forEach((update) => update()) };
}

const STEPS = {
  ArrowUp: ([r, c]) => [r - 1, c],
  ArrowDown: ([r, c]) => [r + 1, c],
  ArrowLeft: ([r, c]) => [r, c - 1],
  ArrowRight: ([r, c]) => [r, c + 1],
  Home: ([r], ctrl) => [ctrl ? 0 : r, 0],
  End: ([r], ctrl) => [ctrl ? Infinity : r, Infinity],
};

/**
 * A table of numbers under its indices. `origin` is the index of the first row and column. With
 * `onPoint`, the cells from (0, 0) up to `size` can be pointed at by mouse, touch or arrow keys;
 * the table is one tab stop.
 */
function grid(name, caption, values, { origin = 0, size = shape(values), onPoint } = {}) {
  const [rows, columns] = shape(values);
  const index = (n) => range(n).map((i) => i + origin);
  const inside = ([r, c]) => r >= 0 && c >= 0 && r < size[0] && c < size[1];
  const head = h("tr", {}, h("td", { class: "cx-corner" }));
  head.append(...index(columns).map((c) => h("th", { scope: "col" }, show(c))));
  const body = h("tbody");
  const cells = values.map((line, r) => {
    const made = line.map((v, c) => {
      const cell = h("td", {}, show(v));
      if (onPoint && inside([r + origin, c + origin])) {
        const attributes = { role: "gridcell", tabindex: "-1", "aria-selected": "false", ...OWN_KEYS };
        for (const [key, value] of Object.entries(attributes)) cell.setAttribute(key, value);
      }
      return cell;
    });
    body.append(h("tr", {}, h("th", { scope: "row" }, show(r + origin)), ...made));
    return made;
  });
  const table = h("table", { class: "cx-table", "data-grid": name, "aria-label": caption }, h("thead", {}, head), body);
  const node = h("div", {}, h("div", { class: "cx-caption", "aria-hidden": "true" }, caption), table);
  const at = ([r, c]) => cells[r - origin][c - origin];

  if (onPoint) {
    table.setAttribute("role", "grid");
    let last = null;
    const pointed = (event) => {
      const cell = event.target.closest("td[tabindex]");
      if (!cell || (cell === last && event.type === "pointermove")) return;
      last = cell;
      onPoint([cell.parentNode.rowIndex - 1 + origin, cell.cellIndex - 1 + origin]);
    };
    for (const type of ["pointermove", "click", "focusin"]) table.addEventListener(type, pointed);
    table.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      const selected = table.querySelector("[aria-selected=true]");
      if (!step || !selected || event.altKey || event.metaKey) return;
      event.preventDefault();
      const here = [selected.parentNode.rowIndex - 1 + origin, selected.cellIndex - 1 + origin];
      at(clamp(step(here, event.ctrlKey), size)).focus();
    });
  }
  return {
    node,
    at,
    /** Give a cell a class and, if there is one, a letter in its corner. */
    mark(cell, kind, letter) {
      at(cell).classList.add(kind);
      if (letter) at(cell).dataset.letter = letter;
    },
    /** Take the marks of the last pointing away. */
    clear() {
      for (const cell of cells.flat()) {
        cell.classList.remove("cx-at", "cx-hit");
        delete cell.dataset.letter;
        if (cell.getAttribute("aria-selected") === "true") cell.setAttribute("aria-selected", "false");
        if (cell.tabIndex === 0) cell.tabIndex = -1;
      }
    },
    /** Make a cell the one pointed at, and the table's tab stop. */
    select(cell) {
      at(cell).classList.add("cx-at");
      if (!onPoint) return;
      at(cell).setAttribute("aria-selected", "true");
      at(cell).tabIndex = 0;
    },
  };
}

/** Replace a text only where it differs, so that nothing is announced twice. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
