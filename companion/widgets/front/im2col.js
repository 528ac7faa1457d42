// The im2col explorer. A frame holds the tables x (padded), patches (the matrix of copies), counts
// (how often each pixel was copied), cols (the gradient of the matrix) and dx (its entries, added
// back); `kernel` and `out` are the sizes (kh, kw) and (Ho, Wo).

/** By mode: the tables shown. */
const TABLES = {
  patch: ["x", "patches"],
  tap: ["x", "patches"],
  counts: ["x", "counts", "patches"],
  col2im: ["dx", "cols"],
};
const PIXELS = ["x", "counts", "dx"];
/** Whether the cell of a mode is an entry of the matrix; else it is a pixel. */
const byEntry = (mode) => mode === "patch" || mode === "tap";

/** The row or column of the image that output i reads through kernel entry u. */
const place = ({ stride: s, padding: p, dilation: d }, i, u) => s * i + d * u - p;

/**
 * im2col-patches: all entries of the matrix, row by row: `at` is row m and column t, `ij` the output,
 * `uv` the kernel entry, and `pixel` the place copied.
 */
const entriesOf = (frame) => {
  const { kernel: [kh, kw], out: [Ho, Wo] } = frame;
  return table(Ho * Wo, kh * kw, (m, t) => {
    const [i, j, u, v] = [Math.floor(m / Wo), m % Wo, Math.floor(t / kw), t % kw];
    return { at: [m, t], ij: [i, j], uv: [u, v], pixel: [place(frame, i, u), place(frame, j, v)] };
  }).flat();
};

/** The entries that were copied from a pixel. */
const copiesOf = (frame, [h, q]) => entriesOf(frame).filter(({ pixel }) => pixel[0] === h && pixel[1] === q);
const entryAt = (frame, [m, t]) => entriesOf(frame)[m * frame.cols[0].length + t];
const isInside = ({ dx }, [h, q]) => dx[h]?.[q] !== undefined;

/** The frame of settings that Python has not stored. */
function compute({ x, cols, kh, kw, stride, padding, dilation }) {
  const kernel = [kh, kw];
  const size = shape(x);
  const covered = kernel.map((k) => dilation * (k - 1) + 1);
  const there = size.map((n) => n + 2 * padding);
  const axis = covered.findIndex((n, axis) => n > there[axis]);
  if (axis >= 0)
    return { problem: "These settings do not fit: the kernel covers " +
      `${covered[axis]} ${["rows", "columns"][axis]}, and the padded image has ${there[axis]}.` };
  const out = there.map((n, axis) => Math.floor((n - covered[axis]) / stride) + 1);
  const matrix = [out[0] * out[1], kh * kw];
  if (matrix.some((n, axis) => n > shape(cols)[axis]))
    return { problem: `These settings give a matrix of shape ${pair(matrix)}; cols is smaller.` };

  const [zeros, counts, dx] = [matrix, size, size].map((shape) => table(...shape, () => 0));
  const frame = { stride, padding, dilation, kernel, out, patches: zeros, counts, dx };
  for (const { at: [m, t], pixel: [h, q] } of entriesOf(frame).filter(({ pixel }) => isInside(frame, pixel))) {
    // im2col-patches
    frame.patches[m][t] = x[h][q];
    // im2col-back
    dx[h][q] += cols[m][t];
    counts[h][q] += 1;
  }
  frame.x = table(...there, (r, c) => x[r - padding]?.[c - padding] ?? 0);
  return { ...frame, cols: table(...matrix, (m, t) => cols[m][t]) };
}

function render(context) {
  const PADDING = "Dashed: padding, always 0.";
  const nameOf = (name, { ij, uv }) => `${name}[${pair(ij)}, ${pair(uv)}]`;
  const heads = (size) => table(...size, (a, b) => `(${a},${b})`).flat();
  const write = (formula, lines) => formula.replaceChildren(...lines.map((line) => h("p", {}, line)));

  function draw({ frame, get, onPoint, edit, legend }) {
    const mode = get("mode");
    const { padding: p, kernel, out, counts } = frame;
    const size = shape(counts);
    const image = size.join(" × ");
    const matrix = `${shape(frame.cols).join(" × ")}: rows (i, j), columns (u, v)`;
    const captions = {
      x: `Image x, ${image}` + (p ? `, padding ${p}` : ""),
      counts: `Copies of each pixel, ${image}`,
      dx: `Gradient dx, ${image}`,
      patches: `Patches X, ${matrix}`,
      cols: `Gradient dX, ${matrix}`,
    };
    /** From a pixel to its copy that keeps the window held at the same entry, or the nearest one. */
    const toCopy = (pixel) => {
      const [u, v] = entryAt(frame, clamp(get("cell"), shape(frame.cols))).uv;
      const far = ({ uv }) => Math.abs(uv[0] - u) + Math.abs(uv[1] - v);
      const [nearest] = copiesOf(frame, pixel).sort((a, b) => far(a) - far(b));
      if (nearest) onPoint(nearest.at);
    };
    const toPixel = (at) => {
      const { pixel } = entryAt(frame, at);
      if (isInside(frame, pixel)) onPoint(pixel);
    };
    const [onPixel, onEntry] = byEntry(mode) ? [toCopy, onPoint] : [onPoint, toPixel];
    const shown = Object.fromEntries(TABLES[mode].map((name) => [name, grid(name, captions[name], frame[name], {
      onEdit: (name === "x" || name === "cols") && edit(name),
      ...(PIXELS.includes(name)
        ? { onPoint: onPixel, origin: name === "x" ? -p : 0, size }
        : { onPoint: onEntry, rows: heads(out), columns: heads(kernel), called: (at) => nameOf("dX", entryAt(frame, at)) }),
    })]));

    const said = new Set(["One image, one channel: n = 0, c = 0. The columns count c first, then v, then u."]);
    const mark = (name, cells, css, text) => cells.forEach((cell) => {
      shown[name]?.mark(cell, css);
      if (shown[name]) said.add(text);
    });
    const cells = table(...shape(frame.x), (r, c) => [r - p, c - p]).flat();
    const unread = cells.filter(([h, q]) => counts[h]?.[q] === 0);
    for (const name of PIXELS) mark(name, unread, "cx-unread", "Hatched: in no window, copied nowhere.");
    const outside = entriesOf(frame).filter(({ pixel }) => !isInside(frame, pixel)).map(({ at }) => at);
    mark("x", cells.filter((cell) => !isInside(frame, cell)), "cx-padding", PADDING);
    mark("patches", outside, "cx-padding", PADDING);
    mark("cols", outside, "cx-padding", "Dashed: gradient of the padding, added to no pixel.");
    if (byEntry(mode)) said.add("Same letter: a number and its copy.");
    legend.textContent = [...said, EDITABLE].join(" ");
    return shown;
  }

  /** Mark what the cell pointed at meets, write it out and say it. */
  function point(view) {
    Object.values(view.shown).forEach((each) => each.clear());
    (byEntry(view.get("mode")) ? pointAtEntry : pointAtPixel)(view);
  }

  /** An entry of the matrix and its pixel, and with them all of its row or of its column. */
  function pointAtEntry({ frame, get, shown, status, formula }) {
    const axis = get("mode") === "patch" ? 0 : 1;
    const [m, t] = clamp(get("cell"), shape(frame.patches));
    const entry = entryAt(frame, [m, t]);
    const { ij, uv, pixel } = entry;
    const line = entriesOf(frame).filter(({ at }) => at[axis] === entry.at[axis]);
    line.forEach((other, n) => {
      const letter = letters(line.length)[n];
      shown.patches.mark(other.at, "cx-hit", letter);
      shown.x.mark(other.pixel, "cx-hit", letter);
    });
    const inside = isInside(frame, pixel);
    shown.patches.select(entry.at);
    if (inside) shown.x.select(pixel);
    else shown.x.mark(pixel, "cx-at");

    const { patches, kernel, out, stride, padding, dilation } = frame;
    const result = `${relation([patches[m][t]])} ${show(patches[m][t])}`;
    const where = (n, name, i, u) =>
      `${name} = s ${i} + d ${u} − p = ${stride} × ${ij[n]} + ${dilation} × ${uv[n]} − ${padding} = ${show(pixel[n])}`;
    write(formula, [
      `m = (n Ho + i) Wo + j = (0 × ${out[0]} + ${ij[0]}) × ${out[1]} + ${ij[1]} = ${m}`,
      `t = (u kw + v) C + c = (${uv[0]} × ${kernel[1]} + ${uv[1]}) × 1 + 0 = ${t}`,
      where(0, "h", "i", "u"),
      where(1, "q", "j", "v"),
      h("strong", {}, `X[${m}, ${t}] = x${pair(pixel)} ${result}`),
    ]);
    const [rows, columns] = [0, 1].map((n) => [...new Set(line.map(({ pixel }) => show(pixel[n])))].join(", "));
    const why = axis ? `Its column is what kernel entry ${pair(uv)} meets` : `Its row is the patch of output ${pair(ij)}`;
    say(status, `${nameOf("X", entry)} ${result}, copied from ${inside ? "" : "the padding at "}x${pair(pixel)}. ` +
      `${why}: rows ${rows} and columns ${columns} of the image.`);
  }

  /** A pixel and all its copies: how many they are, or the sum of the gradients there. */
  function pointAtPixel({ frame, get, shown, status, formula }) {
    const back = get("mode") === "col2im";
    const pixel = clamp(get("cell"), shape(frame.dx));
    const copies = copiesOf(frame, pixel);
    for (const name of PIXELS) shown[name]?.select(pixel);
    for (const { at } of copies) shown[back ? "cols" : "patches"].mark(at, "cx-hit");

    const many = `${copies.length} ${copies.length === 1 ? "copy" : "copies"}`;
    // Along each axis, where the bracket of im2col-back holds: pairs of an output and a kernel entry.
    const { out, kernel } = frame;
    const held = pixel.map((at, n) =>
      table(out[n], kernel[n], (i, u) => [i, u]).flat().filter(([i, u]) => place(frame, i, u) === at));
    const why = pixel.map((at, n) => {
      if (held[n].length) return "";
      const past = at > place(frame, out[n] - 1, kernel[n] - 1);
      return ` ${["Row", "Column"][n]} ${at} lies ${past ? "past the last window" : "between what the windows read"}.`;
    }).join("");
    if (back) {
      const value = frame.dx[pixel[0]][pixel[1]];
      const values = copies.map(({ at: [m, t] }) => frame.cols[m][t]);
      const equals = relation([value, ...values]);
      writeSum(formula, `dx${pair(pixel)}`, copies.map((each, n) => [nameOf("dX", each), factor(values[n])]), value, equals);
      const sum = copies.length ? `It adds up the gradients of ${many}.` : "It has no copy.";
      say(status, `dx${pair(pixel)} ${equals} ${show(value)}. ${sum}${why}`);
    } else {
      const [down, across] = held.map((pairs) => pairs.length);
      const ways = (n, name, letters) =>
        `${name} = ${pixel[n]}: ` + (held[n].length ? `${letters} = ${held[n].map(pair).join(" or ")}` : "no window");
      write(formula, [
        ways(0, "h", "(i, u)"),
        ways(1, "q", "(j, v)"),
        h("strong", {}, `copies of x${pair(pixel)} = ${down} × ${across} = ${copies.length}`),
      ]);
      const windows = copies.length ? `: one in each window that holds it, ${down} down times ${across} across.` : ".";
      say(status, `x${pair(pixel)} has ${many}${windows}${why}`);
    }
  }

  return explore(context, { draw, point });
}
