// A table of numbers under its indices.

const EDITABLE = "To change a number, click it, or press Enter on it.";

const WANTED = "a number up to ±10⁹, like −1.5 or 2e3";

/** The number that a text stands for, as people write it; NaN if it is none, or, like 1,000, could be two. */
const readNumber = (text) => {
  const plain = text.trim().replace(/^−/, "-").replace(/e−/i, "e-").replace(/,(?!\d{3}$)/, ".");
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain) && Math.abs(plain) <= 1e9 ? Number(plain) : NaN;
};

/**
 * `values` is a table, or a row. `origin` is the index of its first row and column. The cells from
 * (0, 0) up to `size` can be reached by mouse, touch or arrow keys, if there is something to do:
 * with `onPoint` the one reached is pointed at; with `onEdit` a click on it, Enter or a digit opens
 * a field for a new value. The table is one tab stop. `rows` and `columns` are texts for the heads;
 * `called` names a cell for its field.
 */
function grid(name, caption, values, { origin = 0, size, onPoint, onEdit, rows, columns, called = (cell) => name + pair(cell) } = {}) {
  if (!Array.isArray(values[0])) values = [values];
  const [height, width] = shape(values);
  const [fromRow, fromColumn] = [origin].flat().length === 2 ? origin : [origin, origin];
  const [H, W] = size ?? [height, width];
  const active = onPoint || onEdit;
  const inside = ([r, c]) => r >= 0 && c >= 0 && r < H && c < W;
  const at = ([r, c]) => cells[r - fromRow][c - fromColumn];
  const head = h("tr", {}, h("td", { class: "cx-corner" }));
  head.append(...range(width, fromColumn).map((c) => h("th", { scope: "col" }, columns?.[c] ?? show(c))));
  const body = h("tbody");
  const cells = values.map((line, i) => {
    const made = line.map((v, j) => {
      const cell = h("td", { "data-at": [i + fromRow, j + fromColumn] }, show(v));
      if (active && inside([i + fromRow, j + fromColumn])) {
        const attributes = { role: "gridcell", tabindex: "-1", ...OWN_KEYS };
        if (onPoint) attributes["aria-selected"] = "false";
        for (const key in attributes) cell.setAttribute(key, attributes[key]);
      }
      return cell;
    });
    body.append(h("tr", {}, h("th", { scope: "row" }, rows?.[i + fromRow] ?? show(i + fromRow)), ...made));
    return made;
  });
  const element = h("table", { class: "cx-table", "data-grid": name, "aria-label": caption }, h("thead", {}, head), body);
  const node = h("div", {}, h("div", { class: "cx-caption", "aria-hidden": "true" }, caption), element);
  const whole = (cell) => cell.dataset.at.split(",").map(Number);

  /** Make a cell the table's tab stop. */
  const stopAt = (cell) => {
    for (const other of element.querySelectorAll("td[tabindex='0']")) other.tabIndex = -1;
    cell.tabIndex = 0;
  };

  /** Open a field in a cell; Enter keeps what is typed, and so does going elsewhere; Escape drops it. */
  function openField(cell, replace) {
    const [r, c] = whole(cell);
    const value = values[r - fromRow][c - fromColumn];
    const field = h("input", { type: "text", class: "cx-field", autocomplete: "off", value, "aria-label": called([r, c]), ...OWN_KEYS });
    field.addEventListener("input", () =>
      field.setCustomValidity(isNaN(readNumber(field.value)) ? WANTED : ""));
    const close = (keep, again) => {
      if (!field.isConnected) return;
      const typed = readNumber(field.value);
      const bad = keep && isNaN(typed);
      if (bad && again) return void field.reportValidity();
      field.remove();
      if (again) cell.focus();
      if (keep && !bad && typed !== value) onEdit([r, c], typed);
      const detail = bad && `${called([r, c])} stays ${show(value)}: “${field.value}” is not ${WANTED}.`;
      element.dispatchEvent(new CustomEvent("cx-typed", { bubbles: true, detail }));
    };
    field.addEventListener("keydown", (event) => {
      if (/^(Enter|Escape)$/.test(event.key)) {
        event.preventDefault();
        close(event.key === "Enter", true);
      }
      event.stopPropagation();
    });
    // The pictures are drawn anew once the focus is where it goes, and the click that took it there is over.
    field.addEventListener("blur", () => {
      const arrived = () => setTimeout(() => close(true, false));
      if (document.querySelector(":active")) addEventListener("mouseup", arrived, { once: true, capture: true });
      else arrived();
    });
    cell.append(field);
    field.focus();
    if (replace) field.value = "";
    else field.select();
  }

  if (active) {
    element.setAttribute("role", "grid");
    if (onEdit) element.classList.add("cx-editable");
    else element.setAttribute("aria-readonly", "true");
    let last = null;
    const reached = (event) => {
      const cell = event.target.closest("td[tabindex]");
      if (!cell || (cell === last && event.type === "pointermove")) return;
      last = cell;
      if (event.type !== "pointermove" || onPoint) stopAt(cell);
      if (onPoint) onPoint(whole(cell));
    };
    // A mouse has pointed at a cell before it clicks; a first touch points. A click that ends typing does no more.
    let opens = false;
    element.addEventListener("pointerdown", ({ target, pointerType }) => {
      const pointed = pointerType === "mouse" || document.activeElement === target.closest("td[tabindex]");
      opens = (pointed || !onPoint) && !document.querySelector(".cx-field");
    });
    for (const type of onPoint ? ["pointermove", "click", "focusin"] : ["focusin"]) element.addEventListener(type, reached);
    if (onEdit)
      element.addEventListener("click", (event) => {
        const cell = event.target.closest("td[tabindex]");
        if (cell && event.target === cell && opens) openField(cell);
      });
    element.addEventListener("keydown", (event) => {
      const cell = event.target.closest("td[tabindex]");
      if (!cell || event.altKey || event.metaKey) return;
      if (onEdit && !event.ctrlKey && /^(Enter|F2|[-\d.])$/.test(event.key)) {
        const typed = event.key.length === 1;
        openField(cell, typed);
        // What was typed goes into the field, which has the focus by now.
        if (!typed) event.preventDefault();
        return;
      }
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      at(clamp(step(whole(cell), event.ctrlKey), [H, W])).focus();
    });
    stopAt(at([0, 0]));
  }
  return {
    node,
    at,
    focus: (cell) => active && at(clamp(cell, [H, W])).focus(),
    /** Give a cell a class and, if there is one, a letter in its corner. */
    mark(cell, kind, letter) {
      at(cell).classList.add(kind);
      if (letter) at(cell).dataset.letter = letter;
    },
    /** Take the marks of the last pointing away. */
    clear() {
      for (const cell of cells.flat()) {
        cell.classList.remove("cx-at", "cx-hit", "cx-near");
        delete cell.dataset.letter;
        if (cell.getAttribute("aria-selected") === "true") cell.setAttribute("aria-selected", "false");
      }
    },
    /** Make a cell the one pointed at, and the table's tab stop. */
    select(cell) {
      at(cell).classList.add("cx-at");
      if (!onPoint) return;
      at(cell).setAttribute("aria-selected", "true");
      stopAt(at(cell));
    },
  };
}
