// A column of numbers, each with a bar from zero, that can be pointed at and typed into.

/**
 * A grid of one column with the labels as heads; `low` and `high` are the ends of the scale, `sum`
 * a text below. Of `others`, all that a grid takes; a text among the values has no bar.
 */
function barGrid(name, caption, labels, values, { low, high, sum, ...others } = {}) {
  const lengths = values.map((v) => (Number.isFinite(v) ? v : 0));
  low ??= Math.min(0, ...lengths);
  high ??= Math.max(0, ...lengths);
  const picture = grid(name, caption, values.map((v) => [v]), { rows: labels, called: ([r]) => `${name}(${r})`, ...others });
  const element = picture.node.querySelector("table");
  element.classList.add("cx-bars");
  element.tHead.remove();
  const percent = (v) => `${(100 * (Math.max(low, Math.min(high, v)) - low)) / (high - low || 1)}%`;
  lengths.forEach((v, r) => {
    const bar = h("span", { class: v < 0 ? "cx-fill cx-below" : "cx-fill" });
    bar.style.left = percent(Math.min(v, 0));
    bar.style.right = `calc(100% - ${percent(Math.max(v, 0))})`;
    const zero = h("span", { class: "cx-zero" });
    zero.style.left = percent(0);
    element.rows[r].append(h("td", { class: "cx-bar", "aria-hidden": "true" }, bar, zero));
  });
  if (sum !== undefined) addSums(picture, [sum]);
  return picture;
}

/** A foot for a grid or bars: the sum of each column, as a text. */
function addSums({ node }, texts) {
  const cells = texts.map((text) => h("td", { class: "cx-sum" }, text));
  node.querySelector("table").append(h("tfoot", {}, h("tr", {}, h("th", { scope: "row" }, "sum"), ...cells)));
}

/** The sum of numbers as a text; what rounding has left of zero is not worth its digits. */
function sumOf(values) {
  const sum = total(values);
  return sum && Math.abs(sum) < 1e-12 ? "≈ 0" : show(sum);
}
