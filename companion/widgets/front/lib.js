// What all explorers share: elements, numbers as text, controls, and the frame around the pictures.
// Python joins the files into one script, because a page opened from disk may not import its
// neighbours, and drops comments and indentation: a comment stands on lines of its own.

/** An element with attributes and children. */
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  node.append(...children);
  return node;
}

// On each element that takes focus: else JupyterLab's shortcuts take its arrow keys.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

/** A number as shown: integers in full, others to four digits, a true minus sign; a text as it is. */
const show = (v) => String(Number.isSafeInteger(v) || !v.toPrecision ? v : Number(v.toPrecision(4))).replaceAll("-", "−");
const factor = (v) => (/^[−-]/.test(show(v)) ? `(${show(v)})` : show(v));
const pair = ([r, c]) => `(${show(r)}, ${show(c)})`;
const range = (n, from = 0) => Array.from({ length: n }, (_, i) => i + from);
const clamp = (cell, size) => cell.map((v, axis) => Math.max(0, Math.min(size[axis] - 1, v)));
const shape = (values) => [values.length, values[0].length];
const table = (rows, columns, value) => range(rows).map((r) => range(columns).map((c) => value(r, c)));
const total = (values) => values.reduce((sum, v) => sum + v, 0);

/** By key, the cell that it leads to. */
const STEPS = {
  ArrowUp: ([r, c]) => [r - 1, c],
  ArrowDown: ([r, c]) => [r + 1, c],
  ArrowLeft: ([r, c]) => [r, c - 1],
  ArrowRight: ([r, c]) => [r, c + 1],
  Home: ([r], ctrl) => [ctrl ? 0 : r, 0],
  End: ([r], ctrl) => [ctrl ? Infinity : r, Infinity],
};

/** Change the state: here, in the kernel where there is one, and in whatever listens. */
function put(model, name, value) {
  model.set(name, value);
  model.save_changes();
}

/** Replace a text only where it differs, so that nothing is announced twice. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** One letter for each term of a sum, if there are enough. */
const letters = (n) => (n <= 26 ? "abcdefghijklmnopqrstuvwxyz".slice(0, n) : "");

const MOST_TERMS = 30;

/**
 * Lines of a formula: "left = a + b", "= 1 × 2 + 3 × 4", "= 14". Each term is [names, numbers],
 * both texts; a line breaks after a plus.
 */
function writeSum(formula, left, terms, result, equals = "=") {
  const sum = (which) => {
    const shown = terms.slice(0, MOST_TERMS).map((term) => term[which]);
    if (terms.length > MOST_TERMS) shown.push(`${terms.length - MOST_TERMS} more`);
    return shown.flatMap((text, n) =>
      [n ? " " : "", h("span", { class: "cx-term" }, text + (n < shown.length - 1 ? " +" : ""))]);
  };
  const lines = terms.length
    ? [[`${left} = `, ...sum(0)], [`${equals} `, ...sum(1)], [h("strong", {}, `${equals} ${show(result)}`)]]
    : [[`${left} = ${show(result)}, an empty sum.`]];
  formula.replaceChildren(...lines.map((parts) => h("p", {}, ...parts)));
}

/** "=" where every number is shown in full, else "≈". */
const relation = (numbers) => (numbers.every((v) => Number.isSafeInteger(v) || Number(v.toPrecision(4)) === v) ? "=" : "≈");

/** Makers of rarer inputs, where an explorer uses them: row.js. */
const MORE_CONTROLS = {};

/** Inputs for the controls of the model; `update` lays the model's values into them. */
function controlPanel(model) {
  const node = h("div", { class: "cx-controls" });
  const group = `cx-${Math.random().toString(36).slice(2)}-`;
  const makers = {
    ...MORE_CONTROLS,
    slider({ name, label, low, high, step, index }) {
      const slider = h("input", { type: "range", min: low, max: high, step, "data-name": name, ...OWN_KEYS });
      // Beside the slider, which says its value itself.
      const value = h("span", { class: "cx-value", "aria-hidden": "true" });
      slider.addEventListener("input", () => put(model, name, Number(slider.value)));
      node.append(h("label", {}, label + " ", slider, value));
      return () => {
        const limit = model.get("frame").limits?.[name];
        slider.max = limit ?? high;
        slider.value = Math.min(model.get(name), slider.max);
        value.textContent = show(Number(slider.value)) + (index || limit === undefined ? "" : " of " + limit);
      };
    },
    choice({ name, label, options }) {
      const radios = options.map(([value, text]) => {
        const radio = h("input", { type: "radio", name: group + name, value, ...OWN_KEYS });
        radio.addEventListener("change", () => put(model, name, value));
        return [h("label", {}, radio, " " + text), radio];
      });
      node.append(h("fieldset", { "data-name": name }, h("legend", {}, label), ...radios.map(([labelled]) => labelled)));
      return () => radios.forEach(([, radio]) => (radio.checked = radio.value === model.get(name)));
    },
  };
  const updates = model.get("controls").flatMap((control) => makers[control.type]?.(control, node, model) ?? []);
  // On paper there are no controls, but what they are set to.
  const said = h("p", { class: "cx-said" });
  const inWords = ({ name, label, options }) =>
    `${label}: ${options ? options.find(([value]) => value === model.get(name))[1] : show(Math.min(model.get(name), model.get("frame").limits?.[name] ?? Infinity))}`;
  return {
    node, said,
    update() {
      updates.forEach((update) => update());
      said.textContent = model.get("controls").filter(({ type }) => makers[type] && type !== "table").map(inWords).join("; ");
    },
  };
}

/**
 * Build an explorer in `el`. `draw(view)` returns the pictures, by name, when the numbers or a view
 * have changed; `point(view)` marks what the cell pointed at meets and says it. A picture is an
 * object with a `node`. A frame with a `problem` is said instead of drawn.
 */
function explore({ model, el }, { draw, point = () => {} }) {
  const panel = controlPanel(model);
  const pictures = h("div", { class: "cx-pictures" });
  const legend = h("p", { class: "cx-legend" });
  const status = h("p", { class: "cx-status", role: "status" });
  const formula = h("div", { class: "cx-formula" });
  el.append(
    h("div", { class: "cx", role: "group", "aria-label": model.get("label") },
      panel.node, panel.said, pictures, legend, status, formula));

  const view = {
    model, legend, status, formula, shown: {},
    get: (name) => model.get(name),
    get frame() { return model.get("frame"); },
    /** For grids: point at a cell, unless it is pointed at already. */
    onPoint(cell) {
      if (String(cell) !== String(model.get("cell"))) put(model, "cell", cell);
    },
    /** For grids: type a new value into a table of the settings. */
    edit: (name) => ([r, c], value) => {
      const values = model.get(name);
      const line = Array.isArray(values[0]) ? values[r].with(c, value) : undefined;
      // A row lies in one row of a grid, or in one column of bars.
      put(model, name, line ? values.with(r, line) : values.with(r + c, value));
    },
  };
  let drawn;
  let late;
  const aim = () => {
    point(view);
    // What was tall once stays so: else the page below would jump.
    for (const { style, offsetHeight } of [status, formula]) if (offsetHeight) style.minHeight = offsetHeight + "px";
  };
  const redraw = () => {
    panel.update();
    // A kernel's answer that comes while a number is being typed waits until it is.
    if ((late = pictures.querySelector(".cx-field"))) return;
    drawn = view.frame;
    const focused = pictures.contains(document.activeElement) && whereIs(document.activeElement);
    legend.textContent = "";
    formula.replaceChildren();
    const { problem } = view.frame;
    view.shown = problem ? {} : draw(view);
    pictures.replaceChildren(...Object.values(view.shown).map(({ node }) => node));
    if (problem) say(status, problem);
    else aim();
    if (focused) view.shown[focused.name]?.focus?.(focused.cell);
  };
  pictures.addEventListener("cx-typed", ({ detail }) => {
    if (late) redraw();
    if (detail) say(status, detail);
  });
  const repoint = () => {
    // A frame that is not drawn yet points when it is.
    if (view.frame === drawn && !drawn.problem) aim();
  };
  const heard = model.get("controls").map(({ type, name, view: only }) =>
    [`change:${name}`, type === "cell" ? repoint : only ? redraw : panel.update]);
  heard.push(["change:frame", redraw]);
  for (const [event, listener] of heard) model.on(event, listener);
  redraw();
  // Going back to a page, a browser fills its inputs as they were left.
  addEventListener("pageshow", panel.update);
  return () => {
    removeEventListener("pageshow", panel.update);
    heard.forEach(([event, listener]) => model.off(event, listener));
  };
}

/** The picture and the cell in it that has the focus. */
function whereIs(element) {
  const td = element.closest("[data-grid] td");
  return td && { name: td.closest("[data-grid]").dataset.grid, cell: td.dataset.at.split(",").map(Number) };
}
