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

/** im2col-patches: for row m and column t, the output, the kernel entry, and the pixel copied. */
function entryAt(frame, [m, t]) {
  const [Wo, kw] = [frame.out[1], frame.kernel[1]];
  const [i, j, u, v] = [Math.floor(m / Wo), m % Wo, Math.floor(t / kw), t % kw];
  return { ij: [i, j], uv: [u, v], pixel: [place(frame, i, u), place(frame, j, v)] };
}

/** The entries [m, t] of the matrix that pass a test, row by row. */
const entries = ({ kernel: [kh, kw], out: [Ho, Wo] }, test) =>
  table(Ho * Wo, kh * kw, (m, t) => [m, t]).flat().filter(test);

/** im2col-back: the entries that were copied from a pixel. */
const copiesOf = (frame, pixel) => entries(frame, (at) => String(entryAt(frame, at).pixel) === String(pixel));

/** Along one axis, where the bracket of im2col-back holds: pairs of an output and a kernel entry. */
const pairsOf = (frame, axis, h) =>
  table(frame.out[axis], frame.kernel[axis], (i, u) => [i, u]).flat().filter(([i, u]) => place(frame, i, u) === h);

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

  const frame = { stride, padding, dilation, kernel, out };
  const read = ([h, q]) => x[h]?.[q] ?? 0;
  const back = (value) => table(...size, (h, q) => total(copiesOf(frame, [h, q]).map(value)));
  return {
    ...frame,
    x: table(...there, (r, c) => read([r - padding, c - padding])),
    patches: table(...matrix, (m, t) => read(entryAt(frame, [m, t]).pixel)),
    counts: back(() => 1),
    cols: table(...matrix, (m, t) => cols[m][t]),
    dx: back(([m, t]) => cols[m][t]),
  };
}

function render(context) {
  const PADDING = "Dashed: padding, always 0.";
  const isInside = ({ dx }, pixel) => String(clamp(pixel, shape(dx))) === String(pixel);
  const nameOf = (name, { ij, uv }) => `${name}[${pair(ij)}, ${pair(uv)}]`;
  const heads = (size) => table(...size, (a, b) => `(${a},${b})`).flat();

  function draw({ frame, get, onPoint, edit, legend }) {
    const mode = get("mode");
    const { padding: p, kernel, out, counts } = frame;
    const size = shape(counts);
    const sizes = Object.fromEntries(["dx", "cols"].map((name) => [name, shape(frame[name]).join(" × ")]));
    const captions = {
      x: `Image x, ${sizes.dx}` + (p ? `, padding ${p}` : ""),
      counts: `Copies of each pixel, ${sizes.dx}`,
      dx: `Gradient dx, ${sizes.dx}`,
      patches: `Patches X, ${sizes.cols}: rows (i, j), columns (u, v)`,
      cols: `Gradient dX, ${sizes.cols}: rows (i, j), columns (u, v)`,
    };
    const uvOf = (at) => entryAt(frame, at).uv;
    /** The copy of a pixel that keeps the window held at the same entry, or the nearest one. */
    const held = (pixel) => {
      const [u, v] = uvOf(clamp(get("cell"), shape(frame.cols)));
      const far = (at) => Math.abs(uvOf(at)[0] - u) + Math.abs(uvOf(at)[1] - v);
      return copiesOf(frame, pixel).sort((a, b) => far(a) - far(b))[0];
    };
    const to = (cell) => cell && onPoint(cell);
    const pixelOf = (at) => [entryAt(frame, at).pixel].find((pixel) => isInside(frame, pixel));
    const [onPixel, onEntry] = byEntry(mode)
      ? [(pixel) => to(held(pixel)), onPoint]
      : [onPoint, (at) => to(pixelOf(at))];
    const shown = Object.fromEntries(TABLES[mode].map((name) => [name, grid(name, captions[name], frame[name], {
      onEdit: (name === "x" || name === "cols") && edit(name),
      ...(PIXELS.includes(name)
        ? { onPoint: onPixel, origin: name === "x" ? -p : 0, size }
        : { onPoint: onEntry, rows: heads(out), columns: heads(kernel) }),
    })]));

    const said = new Set(["One image, one channel: n = 0, c = 0. The columns count c first, then v, then u."]);
    const mark = (name, cells, css, text) => cells.forEach((cell) => {
      shown[name]?.mark(cell, css);
      if (shown[name]) said.add(text);
    });
    const cells = (name, from) => table(...shape(frame[name]), (r, c) => [r - from, c - from]).flat();
    for (const name of PIXELS)
      mark(name, cells("dx", 0).filter(([h, q]) => !counts[h][q]), "cx-unread", "Hatched: in no window, copied nowhere.");
    const copied = entries(frame, (at) => !pixelOf(at));
    mark("x", cells("x", p).filter((cell) => !isInside(frame, cell)), "cx-padding", PADDING);
    mark("patches", copied, "cx-padding", PADDING);
    mark("cols", copied, "cx-padding", "Dashed: gradient of the padding, added to no pixel.");
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
    const at = clamp(get("cell"), shape(frame.patches));
    const { patches, kernel, out, stride, padding, dilation } = frame;
    const entry = entryAt(frame, at);
    const { ij, uv, pixel } = entry;
    const line = entries(frame, (other) => other[axis] === at[axis]);
    line.forEach((other, n) => {
      const letter = letters(line.length)[n];
      shown.patches.mark(other, "cx-hit", letter);
      shown.x.mark(entryAt(frame, other).pixel, "cx-hit", letter);
    });
    shown.patches.select(at);
    const inside = isInside(frame, pixel);
    if (inside) shown.x.select(pixel);
    else shown.x.mark(pixel, "cx-at");

    const [m, t] = at;
    const value = patches[m][t];
    const result = `${relation([value])} ${show(value)}`;
    const where = (name, [i, u], n) =>
      `${name} = s ${i} + d ${u} − p = ${stride} × ${ij[n]} + ${dilation} × ${uv[n]} − ${padding} = ${show(pixel[n])}`;
    formula.replaceChildren(...[
      `m = (n Ho + i) Wo + j = (0 × ${out[0]} + ${ij[0]}) × ${out[1]} + ${ij[1]} = ${m}`,
      `t = (u kw + v) C + c = (${uv[0]} × ${kernel[1]} + ${uv[1]}) × 1 + 0 = ${t}`,
      where("h", "iu", 0),
      where("q", "jv", 1),
      h("strong", {}, `X[${m}, ${t}] = x${pair(pixel)} ${result}`),
    ].map((line) => h("p", {}, line)));

    const read = [0, 1].map((n) => range((axis ? out : kernel)[n]).map((k) =>
      show(axis ? place(frame, k, uv[n]) : place(frame, ij[n], k))).join(", "));
    const copied = `${nameOf("X", entry)} ${result}, copied from ${inside ? "" : "the padding at "}x${pair(pixel)}.`;
    const why = axis ? `Its column is what kernel entry ${pair(uv)} meets` : `Its row is the patch of output ${pair(ij)}`;
    say(status, `${copied} ${why}: rows ${read[0]} and columns ${read[1]} of the image.`);
  }

  /** A pixel and all its copies: how many they are, or the sum of the gradients there. */
  function pointAtPixel({ frame, get, shown, status, formula }) {
    const back = get("mode") === "col2im";
    const pixel = clamp(get("cell"), shape(frame.dx));
    const [h0, q0] = pixel;
    const copies = copiesOf(frame, pixel);
    for (const name of PIXELS) shown[name]?.select(pixel);
    for (const at of copies) shown[back ? "cols" : "patches"].mark(at, "cx-hit");

    const count = frame.counts[h0][q0];
    const many = `${count} ${count === 1 ? "copy" : "copies"}`;
    const found = pixel.map((at, axis) => pairsOf(frame, axis, at));
    const [down, across] = found.map((pairs) => pairs.length);
    const why = pixel.map((at, axis) => {
      if (found[axis].length) return "";
      const past = at > place(frame, frame.out[axis] - 1, frame.kernel[axis] - 1);
      return ` ${["Row", "Column"][axis]} ${at} lies ${past ? "past the last window" : "between what the windows read"}.`;
    }).join("");
    if (back) {
      const value = frame.dx[h0][q0];
      const values = copies.map(([m, t]) => frame.cols[m][t]);
      const equals = relation([value, ...values]);
      writeSum(formula, `dx${pair(pixel)}`,
        copies.map((at, n) => [nameOf("dX", entryAt(frame, at)), factor(values[n])]), value, equals);
      const sum = count ? ` It adds up the gradients of ${many}.` : " It has no copy.";
      say(status, `dx${pair(pixel)} ${equals} ${show(value)}.${sum}${why}`);
    } else {
      const lines = found.map((pairs, n) => `${["h", "q"][n]} = ${pixel[n]}: ` +
        (pairs.length ? `${["(i, u)", "(j, v)"][n]} = ${pairs.map(pair).join(" or ")}` : "no window"));
      const product = h("strong", {}, `copies of x${pair(pixel)} = ${down} × ${across} = ${count}`);
      formula.replaceChildren(...[...lines, product].map((line) => h("p", {}, line)));
      const windows = count ? `: one in each window that holds it, ${down} down times ${across} across.` : ".";
      say(status, `x${pair(pixel)} has ${many}${windows}${why}`);
    }
  }

  return explore(context, { draw, point });
}
