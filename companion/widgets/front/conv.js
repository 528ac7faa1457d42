// The convolution explorer. A frame holds the tables x (padded), w, z, dz, dx and dw, and for the
// true convolution dz between zeros (`stuffed`) and w turned by 180 degrees (`turned`). z, dx and dw
// are as they stand when the first `taps` kernel entries have been added.

/**
 * Along one axis, the pairs that the sum for an index runs over. `k` kernel entries, `out` outputs,
 * stride `s`, padding `p`, dilation `d`.
 */
const PAIRS = {
  // conv-forward: the input rows that output i reads, and the kernel rows
  forward: (i, { k, s, p, d }) => range(k).map((u) => [s * i + d * u - p, u]),
  // conv-dx: the outputs that read input row h, and the kernel rows
  backward: (h, { k, out, s, p, d }) =>
    range(k)
      .reverse()
      .map((u) => [(h + p - d * u) / s, u])
      .filter(([i]) => range(out).includes(i)),
  // conv-dw: the outputs, and the input rows they read through kernel row u
  weight: (u, { out, s, p, d }) => range(out).map((i) => [i, s * i + d * u - p]),
  // the same as conv-dx: rows of dz between zeros, and rows of the turned kernel
  convolution: (h, { k, p, d }) => range(k).map((u) => [h + p - d * (k - 1 - u), u]),
};

/** By mode: the two tables whose entries meet, the table of their sums, and what else to point at. */
const TABLES = {
  forward: ["x", "w", "z"],
  backward: ["dz", "w", "dx", "x"],
  weight: ["dz", "x", "dw", "w"],
  convolution: ["stuffed", "turned", "dx"],
};

/** Both axes of a frame. */
const axesOf = ({ w, z, stride: s, padding: p, dilation: d }) =>
  [0, 1].map((axis) => ({ k: shape(w)[axis], out: shape(z)[axis], s, p, d }));

/** The terms of the sum for a cell: [place in the first table, place in the second]. */
function termsOf(mode, cell, axes, taps) {
  const [rows, columns] = axes.map((axis, n) => PAIRS[mode](cell[n], axis));
  const [kh, kw] = axes.map(({ k }) => k);
  const entry = { weight: () => cell, convolution: ([u, v]) => [kh - 1 - u, kw - 1 - v] }[mode] ?? ((uv) => uv);
  return rows
    .flatMap(([a, u]) => columns.map(([b, v]) => [[a, b], [u, v]]))
    .filter(([, uv]) => entry(uv)[0] * kw + entry(uv)[1] < taps);
}

/** The entry of a table at its own indices: the padded tables begin below zero. */
function entryOf(frame, name, [r, c]) {
  const [a, b] = originOf(frame, name);
  return frame[name][r - a]?.[c - b] ?? 0;
}

function originOf({ w, padding: p, dilation: d }, name) {
  if (name === "stuffed") return shape(w).map((k) => p - d * (k - 1));
  return name === "x" ? [-p, -p] : [0, 0];
}

/** The frame of settings that Python has not stored. */
function compute({ x, w, dz, kernel_size: size = null, stride, padding: p, dilation, taps }) {
  const kernel = size === null ? w : w.slice(0, size).map((row) => row.slice(0, size));
  const [[H, W], k] = [shape(x), shape(kernel)];
  const covered = k.map((n) => dilation * (n - 1) + 1);
  const there = [H + 2 * p, W + 2 * p];
  const [Ho, Wo] = there.map((n, axis) => Math.floor((n - covered[axis]) / stride) + 1);
  const all = k[0] * k[1];
  const frame = { stride, padding: p, dilation, taps: Math.min(taps, all), limits: { taps: all }, w: kernel };
  const axis = covered.findIndex((n, axis) => n > there[axis]);
  if (axis >= 0)
    return { ...frame, problem: "These settings do not fit: the kernel covers " +
      `${covered[axis]} ${["rows", "columns"][axis]}, and the padded image has ${there[axis]}.` };
  if (dz.length < Ho || dz[0].length < Wo)
    return { ...frame, problem: `These settings give an output of shape (${Ho}, ${Wo}); dz is smaller.` };

  frame.x = table(H + 2 * p, W + 2 * p, (r, c) => x[r - p]?.[c - p] ?? 0);
  frame.z = table(Ho, Wo, () => 0);
  const axes = axesOf(frame);
  const sums = (mode, rows, columns) => table(rows, columns, (r, c) =>
    total(termsOf(mode, [r, c], axes, taps).map((term) =>
      term.reduce((product, at, side) => product * entryOf(frame, TABLES[mode][side], at), 1))));
  frame.z = sums("forward", Ho, Wo);
  frame.dz = table(Ho, Wo, (i, j) => dz[i][j]);
  const [a, b] = originOf(frame, "stuffed");
  frame.stuffed = table(H + p - a, W + p - b, (r, c) => frame.dz[(r + a) / stride]?.[(c + b) / stride] ?? 0);
  frame.turned = kernel.map((row) => row.toReversed()).reverse();
  return { ...frame, dx: sums("backward", H, W), dw: sums("weight", ...k) };
}

function render(context) {
  const captions = {
    x: "Input x", w: "Kernel w", z: "Output z", dz: "Incoming dz", dx: "Gradient dx", dw: "Gradient dw",
    stuffed: "dz°, zeros put into dz", turned: "w′, w turned by 180°",
  };
  const ORDER = ["x", "dz", "stuffed", "w", "turned", "z", "dx", "dw"];

  function draw({ frame, get, onPoint, edit, legend }) {
    const mode = get("mode");
    const [, , sum, also] = TABLES[mode];
    const { x, padding: p, stride } = frame;
    const size = shape(x).map((n) => n - 2 * p);
    const used = ORDER.filter((name) => [...TABLES[mode], "x", "w"].includes(name) && (mode !== "convolution" || name.length > 1));
    const shown = Object.fromEntries(used.map((name) => {
      const own = name === "x" ? size : shape(frame[name]);
      const caption = `${captions[name]}, ${own.join(" × ")}` + (name === "x" && p ? `, padding ${p}` : "");
      return [name, grid(name, caption, frame[name], {
        origin: originOf(frame, name),
        size: own,
        onPoint: (name === sum || name === also) && onPoint,
        onEdit: ["x", "w", "dz"].includes(name) && edit(name),
      })];
    }));

    const axes = axesOf(frame);
    const said = new Set(["Same letter: multiplied with each other."]);
    const mark = (name, css, text, test) => table(...shape(frame[name]), (r, c) => {
      const [a, b] = originOf(frame, name);
      if (!shown[name] || !test([r + a, c + b])) return;
      shown[name].mark([r + a, c + b], css);
      said.add(text);
    });
    const outside = (cell) => cell.some((at, n) => at < 0 || at >= size[n]);
    mark("x", "cx-padding", "Dashed: padding, always 0.", outside);
    mark("stuffed", "cx-padding", "Dashed: a zero put in.", (cell) =>
      cell.some((at, n) => !range(axes[n].out).includes(at / stride)));
    for (const name of ["x", "dx"])
      mark(name, "cx-unread", "Hatched: feeds no output, so its gradient is 0.", (cell) =>
        !outside(cell) && cell.some((at, n) => !PAIRS.backward(at, axes[n]).length));
    if (mode !== "convolution") said.add(EDITABLE);
    legend.textContent = [...said].join(" ");
    return shown;
  }

  /** Mark what the cell pointed at meets, and write out the sum. */
  function point({ frame, get, shown, status, formula }) {
    const mode = get("mode");
    const [first, second, sum, also] = TABLES[mode];
    const cell = clamp(get("cell"), shape(frame[sum]));
    const axes = axesOf(frame);
    const terms = termsOf(mode, cell, axes, frame.taps);
    const called = (name) => ({ stuffed: "dz°", turned: "w′" })[name] ?? name;
    const factors = terms.map((term) => [first, second].map((name, side) => [name, term[side]]));

    Object.values(shown).forEach((each) => each.clear());
    for (const name of [sum, also]) shown[name]?.select(cell);
    factors.forEach((term, n) =>
      term.forEach(([name, at]) => shown[name].mark(at, "cx-hit", letters(terms.length)[n])));

    const result = entryOf(frame, sum, cell);
    const values = factors.map((term) => term.map(([name, at]) => entryOf(frame, name, at)));
    const equals = relation([result, ...values.flat()]);
    writeSum(formula, sum + pair(cell), factors.map((term, n) => [
      term.map(([name, at]) => called(name) + pair(at)).join(" × "),
      values[n].map(factor).join(" × "),
    ]), result, equals);
    say(status, `${sum}${pair(cell)} ${equals} ${show(result)}. ${explain(mode, cell, axes, frame)}`);
  }

  function explain(mode, cell, axes, { taps, limits: { taps: all } }) {
    const [rows, columns] = axes.map((axis, n) => PAIRS[mode](cell[n], axis));
    const places = `rows ${rows.map(([at]) => show(at)).join(", ")} and columns ${columns.map(([at]) => show(at)).join(", ")}`;
    const many = rows.length * columns.length;
    const why = axes.flatMap(({ k, out, s, p, d }, n) => {
      if ([rows, columns][n].length) return [];
      const past = cell[n] > s * (out - 1) + d * (k - 1) - p;
      return `${["Row", "Column"][n]} ${cell[n]} lies ${past ? "past the last window" : "between what the windows read"}.`;
    });
    const said = {
      forward: `It reads input ${places}.`,
      backward: many ? `It feeds ${many} output${many > 1 ? "s, each through its own weight" : ""}.`
        : `It feeds no output: its gradient is 0. ${why.join(" ")}`,
      weight: `It is used by ${many} output${many > 1 ? "s" : ""}.`,
      convolution: `The turned kernel lies on ${places} of dz°: a convolution in the strict sense.`,
    }[mode];
    return taps < all ? `${said} So far ${taps} of ${all} kernel entries are added.` : said;
  }

  return explore(context, { draw, point });
}
