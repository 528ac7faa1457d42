// The convolution explorer. A frame is what the companion computed for one setting: the input x, the
// kernel w, the output z, its gradient dz (at least z's size), the input's gradient dx, and the
// stride, padding and dilation. `problem` says, by mode, why there is nothing to show.

/** Pairs [h, u]: the input rows h that output i reads, through kernel row u (conv-forward). */
const reads = (i, kernel, { stride, padding, dilation }) =>
  range(kernel).map((u) => [stride * i + dilation * u - padding, u]);

/** Pairs [i, u]: the outputs i that read input row h, through kernel row u (conv-dx). */
const feeds = (h, outputs, kernel, { stride, padding, dilation }) =>
  range(kernel)
    .reverse()
    .map((u) => [(h + padding - dilation * u) / stride, u])
    .filter(([i]) => Number.isInteger(i) && i >= 0 && i < outputs);

/** One letter for each term of a sum, if there are enough. */
const letters = (n) => (n <= 26 ? "abcdefghijklmnopqrstuvwxyz".slice(0, n) : "");

function render({ model, el }) {
  const panel = controlPanel(model);
  const pictures = h("div", { class: "cx-pictures" });
  const legend = h("p", { class: "cx-legend" });
  const status = h("p", { class: "cx-status", role: "status" });
  const formula = h("div", { class: "cx-formula" });
  el.append(
    h("div", { class: "cx", role: "group", "aria-label": model.get("label") },
      panel.node, pictures, legend, status, formula));

  let grids = {};
  const onPoint = (cell) => {
    if (String(cell) !== String(model.get("cell"))) put(model, "cell", cell);
  };

  function draw() {
    const frame = model.get("frame");
    const backward = model.get("mode") === "backward";
    const hadFocus = pictures.contains(document.activeElement);
    const problem = frame.problem?.[model.get("mode")];
    if (problem) {
      grids = {};
      pictures.replaceChildren();
      formula.replaceChildren();
      legend.textContent = "";
      return say(status, problem);
    }
    const { x, w, z, dx, padding: p } = frame;
    const [H, W] = shape(x);
    const padded = range(H + 2 * p).map((r) => range(W + 2 * p).map((c) => x[r - p]?.[c - p] ?? 0));
    const sized = (name, values) => `${name}, ${shape(values).join(" × ")}`;
    const input = sized("Input x", x) + (p ? `, padding ${p}` : "");
    const options = { origin: -p, size: [H, W], onPoint: backward && onPoint };
    grids = { x: grid("x", input, padded, options), w: grid("w", sized("Kernel w", w), w) };
    if (backward) {
      const dz = z.map((line, i) => line.map((_, j) => frame.dz[i][j]));
      grids.dz = grid("dz", sized("Incoming dz", dz), dz);
      grids.dx = grid("dx", sized("Gradient dx", dx), dx, { onPoint });
    } else {
      grids.z = grid("z", sized("Output z", z), z, { onPoint });
    }
    pictures.replaceChildren(...Object.values(grids).map(({ node }) => node));
    legend.textContent = explainMarks(frame, padded);
    point();
    if (hadFocus) pictures.querySelector("[tabindex='0']").focus();
  }

  /** Draw padding dashed and unread inputs hatched, and say so. */
  function explainMarks(frame, padded) {
    const { x, w, z, padding: p } = frame;
    const [H, W] = shape(x);
    const unread = (n, axis) =>
      range(n).map((r) => !feeds(r, shape(z)[axis], shape(w)[axis], frame).length);
    const [rows, columns] = [unread(H, 0), unread(W, 1)];
    const said = new Set();
    if (letters(w.length * w[0].length)) said.add("Same letter: multiplied with each other.");
    for (const r of padded.keys())
      for (const c of padded[r].keys()) {
        const [i, j] = [r - p, c - p];
        if (i < 0 || j < 0 || i >= H || j >= W) {
          grids.x.mark([i, j], "cx-padding");
          said.add("Dashed: padding, always 0.");
        } else if (rows[i] || columns[j]) {
          grids.x.mark([i, j], "cx-unread");
          grids.dx?.mark([i, j], "cx-unread");
          said.add("Hatched: feeds no output, so its gradient is 0.");
        }
      }
    return [...said].join(" ");
  }

  /** Mark what the cell pointed at meets, and write out the sum. */
  function point() {
    const frame = model.get("frame");
    if (!grids.x) return;
    const backward = model.get("mode") === "backward";
    const { w, z, dx } = frame;
    const size = shape(backward ? dx : z);
    const cell = clamp(model.get("cell"), size);
    const pairs = cell.map((at, axis) =>
      backward
        ? feeds(at, shape(z)[axis], shape(w)[axis], frame)
        : reads(at, shape(w)[axis], frame));
    const terms = pairs[0].flatMap(([a, u]) => pairs[1].map(([b, v]) => [[a, b], [u, v]]));

    Object.values(grids).forEach((each) => each.clear());
    const met = backward ? grids.dz : grids.x;
    terms.forEach(([other, weight], n) => {
      const letter = letters(terms.length)[n];
      met.mark(other, "cx-hit", letter);
      grids.w.mark(weight, "cx-hit", letter);
    });
    for (const name of backward ? ["x", "dx"] : ["z"]) grids[name].select(cell);

    const value = ([r, c]) => (backward ? frame.dz : frame.x)[r]?.[c] ?? 0;
    const result = (backward ? dx : z)[cell[0]][cell[1]];
    const left = `${backward ? "dx" : "z"}${pair(cell)}`;
    const rounded = [result, ...terms.flatMap(([o, [u, v]]) => [value(o), w[u][v]])]
      .some((v) => !Number.isInteger(v));
    const equals = rounded ? "≈" : "=";
    const sum = (write) => terms.flatMap((term, n) => // a line breaks after a plus
      [n ? " " : "", h("span", { class: "cx-term" }, write(term) + (n < terms.length - 1 ? " +" : ""))]);
    const written = terms.length
      ? [
          [`${left} = `, ...sum(([o, weight]) => `${backward ? "dz" : "x"}${pair(o)} × w${pair(weight)}`)],
          [`${equals} `, ...sum(([o, [u, v]]) => `${factor(value(o))} × ${factor(w[u][v])}`)],
          [h("strong", {}, `${equals} ${show(result)}`)],
        ]
      : [[`${left} = ${show(result)}, an empty sum.`]];
    formula.replaceChildren(...written.map((parts) => h("p", {}, ...parts)));
    say(status, `${left} ${equals} ${show(result)}. ` + (backward ? fed(cell) : read(pairs)));
  }

  const list = (pairs) => pairs.map(([at]) => show(at)).join(", ");
  const read = ([rows, columns]) => `It reads input rows ${list(rows)} and columns ${list(columns)}.`;

  function fed(cell) {
    const frame = model.get("frame");
    const counts = cell.map((at, axis) =>
      feeds(at, shape(frame.z)[axis], shape(frame.w)[axis], frame).length);
    const many = counts[0] * counts[1];
    if (many) return many > 1 ? `It feeds ${many} outputs, each through its own weight.` : "It feeds 1 output.";
    const why = ["Row", "Column"].flatMap((name, axis) => {
      if (counts[axis]) return [];
      const { stride, padding, dilation } = frame;
      const last = stride * (shape(frame.z)[axis] - 1) + dilation * (shape(frame.w)[axis] - 1) - padding;
      return `${name} ${cell[axis]} lies ${cell[axis] > last ? "past the last window" : "between what the windows read"}.`;
    });
    return `It feeds no output: its gradient is 0. ${why.join(" ")}`;
  }

  const update = () => panel.update();
  const names = model.get("controls").map(({ name }) => `change:${name}`);
  const heard = [["change:frame", draw], ["change:mode", draw], ["change:cell", point],
    ...names.map((name) => [name, update])];
  for (const [event, listener] of heard) model.on(event, listener);
  update();
  draw();
  return () => heard.forEach(([event, listener]) => model.off(event, listener));
}
