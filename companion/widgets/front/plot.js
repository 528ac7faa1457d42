// Curves over an axis, as SVG.

/** An SVG element. */
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** "10⁻⁵", for the ticks of a logarithmic axis. */
const power = (n) => "10" + String(n).replace(/./g, (d) => ({ "-": "⁻", ".": "·" })[d] ?? "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);

/** Where a label may lie beside a place, as shares of its width and in pixels of its height. */
const BESIDE = [[0, -19, 6], [0, -8, 9], [-1, -19, -6], [-1, -8, -9], [-0.5, -24, 0], [-0.5, 8, 0], [0, 5, 6], [-1, 5, -6], [0, -36, 6], [-1, -36, -6], [0, 22, 6], [-1, 22, -6], [0, -53, 6], [-1, -53, -6], [0, 39, 6], [-1, 39, -6]];

/**
 * An axis is { low, high, label, ticks: [[value, text], ...] }; the tick "0" is drawn stronger. A line
 * is { label, points: [[x, y], ...], dash, thin, at }: `dash` as in SVG, so that lines differ not
 * only in colour; the label stands where it covers least, or so near to point number `at`. A null y breaks the
 * line. A dot is { x, y, label, hollow }. `words` says in a sentence what there is to see.
 */
function plot(name, caption, { x, y, lines, dots = [], words, height = 230 }) {
  const [left, right, top, bottom] = [44, 368, 10, height - 36];
  const scale = (axis, from, to) => (v) =>
    from + ((Math.max(axis.low, Math.min(axis.high, v)) - axis.low) / (axis.high - axis.low)) * (to - from);
  const [px, py] = [scale(x, left, right), scale(y, bottom, top)];
  const picture = svg("svg", {
    viewBox: `0 0 380 ${height}`, class: "cx-plot", role: "img", "data-plot": name, "aria-label": `${caption}. ${words}` });
  const tick = (text, x1, x2, y1, y2) =>
    picture.append(svg("line", { class: "cx-tick" + (text === "0" ? " cx-origin" : ""), x1, x2, y1, y2 }));
  for (const [v, text] of x.ticks) {
    tick(text, px(v), px(v), top, bottom);
    picture.append(svg("text", { x: Math.min(px(v), 380 - 4 * `${text}`.length), y: bottom + 14, "text-anchor": "middle" }, text));
  }
  for (const [v, text] of y.ticks) {
    tick(text, left, right, py(v), py(v));
    picture.append(svg("text", { x: left - 4, y: py(v) + 4, "text-anchor": "end" }, text));
  }
  picture.append(svg("text", { x: (left + right) / 2, y: height - 4, "text-anchor": "middle" }, x.label));

  // Labels keep clear of the ink, and more so of each other.
  const ink = dots.map(({ x: a, y: b }) => [px(a), py(b)]);
  const [texts, taken] = [[], []];
  const write = (text, places, sample) => {
    if (!text || !places.length) return;
    const before = sample ? 25 : 0;
    const w = before + 8.2 * text.replace(/⁻.+/, "⁻").length;
    // The last entry, for a dot, grows with the way there: no doubt must be left whose label it is.
    const boxes = places.flatMap(([a, b]) => BESIDE.map(([share, dy, dx]) => [a + share * w + dx, b + dy, sample ? 0 : Math.abs(dy + 8) / 2.5]));
    const covered = ([l, t, n]) => {
      if (l < left || l + w > 380 || t < 0 || t + 14 > bottom) n += 1000;
      for (const [a, b] of ink) if (a > l - 3 && a < l + w + 3 && b > t - 1 && b < t + 15) n += 1;
      for (const [a, b, v] of taken) if (a < l + w + 2 && l < a + v + 2 && Math.abs(b - t) < 16) n += 100;
      return n;
    };
    const [l, t] = boxes.map((box) => [covered(box), box]).reduce((best, next) => (next[0] < best[0] ? next : best))[1];
    taken.push([l, t, w]);
    texts.push(svg("text", { class: "cx-name", x: l + before, y: t + 11 }, text));
    // A piece of the line before its name, which may be nearer to another one.
    if (sample) texts.push(svg("line", { ...sample, x1: l, x2: l + before - 4, y1: t + 7, y2: t + 7 }));
  };
  const styled = (n, dash, thin) => ({ class: "cx-line cx-line-" + n + (thin ? " cx-thin" : ""), "stroke-dasharray": dash });
  lines.forEach(({ label, points, dash = "", thin }, n) => {
    const d = points.map(([a, b], i) => {
      if (b === null) return "";
      const [c, e] = points[i - 1] ?? [a, null];
      const [dx, dy] = e === null ? [0, 0] : [px(c) - px(a), py(e) - py(b)];
      const steps = Math.ceil(Math.hypot(dx, dy) / 7);
      ink.push([px(a), py(b)], ...range(steps, 1).map((k) => [px(a) + (dx * k) / steps, py(b) + (dy * k) / steps]));
      return `${e === null ? "M" : "L"}${px(a).toFixed(1)} ${py(b).toFixed(1)}h0`;
    });
    picture.append(svg("path", { ...styled(n, dash, thin), d: d.join(""), "data-line": label }));
  });
  for (const { x: a, y: b, label, hollow } of dots) {
    picture.append(svg("circle", { class: "cx-dot" + (hollow ? " cx-hollow" : ""), cx: px(a), cy: py(b), r: hollow ? 3.5 : 5 }));
    write(label, [[px(a), py(b)]]);
  }
  for (const [n, { label, points, at, dash = "", thin }] of lines.entries()) {
    const near = Math.round(points.length / 8);
    const there = (at === undefined ? points.toReversed() : points.slice(Math.max(0, at - near), at + near + 1)).filter(([, b]) => b !== null);
    const few = Math.ceil(there.length / 8);
    write(label, there.filter((_, i) => i % few === 0).map(([a, b]) => [px(a), py(b)]), lines.length > 1 && styled(n, dash, thin));
  }
  picture.append(...texts);
  return { node: h("div", { class: "cx-plotted" }, h("div", { class: "cx-caption", "aria-hidden": "true" }, caption), picture) };
}
