// A column of numbers, each with a bar from zero.

/**
 * `low` and `high` are the ends of the scale. The numbers are a table with the labels as heads;
 * with `onEdit` it is a grid's worth of fields, as in grid.js.
 */
function bars(name, caption, labels, values, { low = Math.min(0, ...values), high = Math.max(0, ...values) } = {}) {
  const span = high - low || 1;
  const percent = (v) => `${(100 * (Math.max(low, Math.min(high, v)) - low)) / span}%`;
  const rows = values.map((v, i) => {
    const bar = h("span", { class: v < 0 ? "cx-fill cx-below" : "cx-fill" });
    bar.style.left = percent(Math.min(v, 0));
    bar.style.right = `calc(100% - ${percent(Math.max(v, 0))})`;
    const zero = h("span", { class: "cx-zero" });
    zero.style.left = percent(0);
    return h("tr", {}, h("th", { scope: "row" }, labels[i]), h("td", { "data-at": [i, 0] }, show(v)),
      h("td", { class: "cx-bar", "aria-hidden": "true" }, bar, zero));
  });
  const element = h("table", { class: "cx-table cx-bars", "data-grid": name, "aria-label": caption }, h("tbody", {}, ...rows));
  const node = h("div", {}, h("div", { class: "cx-caption", "aria-hidden": "true" }, caption), element);
  return {
    node,
    mark: ([r], kind) => rows[r].cells[1].classList.add(kind),
    clear: () => rows.forEach((row) => row.cells[1].classList.remove("cx-at", "cx-hit")),
  };
}
