// A column of numbers, each with a bar from zero, to look at.

/** `low` and `high` are the ends of the scale; the labels are the heads of the rows. */
function bars(name, caption, labels, values, { low = Math.min(0, ...values), high = Math.max(0, ...values) } = {}) {
  const percent = (v) => `${(100 * (v - low)) / (high - low || 1)}%`;
  const rows = values.map((v, i) => {
    const bar = h("span", { class: v < 0 ? "cx-fill cx-below" : "cx-fill" });
    bar.style.left = percent(Math.min(v, 0));
    bar.style.right = `calc(100% - ${percent(Math.max(v, 0))})`;
    return h("tr", {}, h("th", { scope: "row" }, labels[i]), h("td", { "data-at": [i, 0] }, show(v)),
      h("td", { class: "cx-bar", "aria-hidden": "true" }, bar));
  });
  const element = h("table", { class: "cx-table cx-bars", "data-grid": name, "aria-label": caption }, h("tbody", {}, ...rows));
  return { node: h("div", {}, h("div", { class: "cx-caption", "aria-hidden": "true" }, caption), element) };
}
