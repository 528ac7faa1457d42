// Curves over an axis, as SVG.

/** An SVG element. */
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** "10⁻⁵", for the ticks of a logarithmic axis. */
const power = (n) => "10" + String(n).replace(/./g, (d) => (d === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]));

/**
 * An axis is { low, high, label, ticks: [[value, text], ...] }. A line is { label, points: [[x, y],
 * ...], dash, at }: `dash` as in SVG, so that lines differ not only in colour; the label stands
 * at point number `at`, the last if it is left out. A null y breaks the line. A dot is
 * { x, y, label }. `words` says in a sentence what there is to see.
 */
function plot(name, caption, { x, y, lines, dots = [], words, width = 380, height = 230 }) {
  const [left, right, top, bottom] = [44, width - 12, 10, height - 36];
  const scale = (axis, from, to) => (v) =>
    from + ((Math.max(axis.low, Math.min(axis.high, v)) - axis.low) / (axis.high - axis.low)) * (to - from);
  const [px, py] = [scale(x, left, right), scale(y, bottom, top)];
  const picture = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, class: "cx-plot", role: "img", "data-plot": name, "aria-label": `${caption}. ${words}` });
  for (const [v, text] of x.ticks)
    picture.append(
      svg("line", { class: "cx-tick", x1: px(v), x2: px(v), y1: top, y2: bottom }),
      svg("text", { x: px(v), y: bottom + 14, "text-anchor": "middle" }, text));
  for (const [v, text] of y.ticks)
    picture.append(
      svg("line", { class: "cx-tick", x1: left, x2: right, y1: py(v), y2: py(v) }),
      svg("text", { x: left - 4, y: py(v) + 4, "text-anchor": "end" }, text));
  picture.append(svg("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, x.label));
  lines.forEach(({ label, points, dash = "", at = points.length - 1 }, n) => {
    const d = points.map(([a, b], i) => b === null ? "" : `${i && points[i - 1][1] !== null ? "L" : "M"}${px(a).toFixed(1)} ${py(b).toFixed(1)}`);
    picture.append(svg("path", { class: `cx-line cx-line-${n}`, d: d.join(""), "stroke-dasharray": dash, "data-line": label }));
    if (label) {
      const end = px(points[at][0]) > (left + right) / 2;
      picture.append(svg("text", { class: "cx-name", x: px(points[at][0]) + (end ? -4 : 4), y: py(points[at][1]) - 6, "text-anchor": end ? "end" : "start" }, label));
    }
  });
  for (const { x: a, y: b, label } of dots) {
    const end = px(a) > (left + right) / 2;
    picture.append(
      svg("circle", { class: "cx-dot", cx: px(a), cy: py(b), r: 5 }),
      svg("text", { class: "cx-name", x: px(a) + (end ? -9 : 9), y: py(b) + 4, "text-anchor": end ? "end" : "start" }, label ?? ""));
  }
  return { node: h("div", { class: "cx-plotted" }, h("div", { class: "cx-caption", "aria-hidden": "true" }, caption), picture) };
}
