// The transposed convolution explorer. A frame holds the input x, the kernel w, the output z, the same
// before the padding is cut off (`uncut`), and how many stamps lie on each output (`counts`); x with
// zeros between and around (`stuffed`) and w turned by 180 degrees (`turned`); dx of the convolution
// whose incoming gradient is x (`conv_dx`); and dz, dx and dw. All as they stand when the first
// `stamps` inputs have stamped.

/** By view: what is pointed at, the tables whose entries meet there, and those that have the cell. */
const VIEWS = {
  scatter: ["x", ["w", "uncut"], ["x"]],
  gather: ["z", ["x", "w"], ["uncut", "counts"]],
  stuffing: ["z", ["stuffed", "turned"], ["z"]],
  gradient: ["z", ["x", "w"], ["conv_dx", "z"]],
  backward: ["x", ["dz", "w"], ["dx", "x"]],
  weight: ["w", ["dz", "x"], ["dw", "w"]],
};

/** Which index of a product finds its place in a table. */
const INDEX = { uncut: "z", dz: "z" };

const places = ([rows, columns]) => table(rows, columns, (r, c) => [r, c]).flat();
const entry = (values, [r, c]) => values[r]?.[c] ?? 0;
const isIn = (cell, size) => cell.every((at, axis) => at >= 0 && at < size[axis]);

/**
 * transposed-forward: every product so far, as the indices of its input x, its weight w, and the
 * output z on which it lands: i = s h + u - p. There may be no output of this number.
 */
const productsOf = ({ x, w, stride: s, padding: p, stamps }) =>
  places(shape(x)).slice(0, stamps).flatMap((hq) =>
    places(shape(w)).map((uv) => ({ x: hq, w: uv, z: hq.map((h, axis) => s * h + uv[axis] - p) })));

/** What meets at a cell: in each of the view's tables a place. */
function meetings(mode, cell, frame) {
  const [of, names] = VIEWS[mode];
  // conv-dx-correlation: a convolution with stride 1
  if (mode === "stuffing")
    return places(shape(frame.w)).map((uv) =>
      [uv.map((u, axis) => cell[axis] + originOf(frame, "stuffed")[axis] + u), uv]);
  return productsOf(frame)
    .filter((product) => String(product[of]) === String(cell) && (names[0] !== "dz" || isIn(product.z, shape(frame.z))))
    .map((product) => names.map((name) => product[INDEX[name] ?? name]));
}

function originOf({ w, padding: p }, name) {
  if (name === "stuffed") return shape(w).map((k) => p - (k - 1));
  return name === "uncut" ? [-p, -p] : [0, 0];
}

/** The entry of a table at its own indices. */
const entryOf = (frame, name, cell) => entry(frame[name], cell.map((at, axis) => at - originOf(frame, name)[axis]));

/** The frame of settings that Python has not stored. */
function compute({ x, w: given, dz, kernel_size: size = null, stride: s, padding: p, output_padding: r, stamps: wanted }) {
  const w = size === null ? given : given.slice(0, size).map((row) => row.slice(0, size));
  const [[H, W], k] = [shape(x), shape(w)];
  const stamps = Math.min(wanted, H * W);
  const frame = { stride: s, padding: p, output_padding: r, stamps, limits: { stamps: H * W }, x, w };
  // transposed-size
  const out = [H, W].map((n, axis) => s * (n - 1) + k[axis] - 2 * p + r);
  const short = out.findIndex((n) => n < 1);
  const misfit = (why) => ({ ...frame, problem: `These settings do not fit: ${why}.` });
  if (r >= s) return misfit(`output_padding must be below the stride (${s}, ${s}), whose remainder it is, got ${r}`);
  if (short >= 0)
    return misfit(`padding must leave at least 1 of the output's ${["rows", "columns"][short]}, got ${p}, ` +
      `which leaves ${out[short]}: x has ${H} x ${W} pixels, w ${k.join(" x ")}`);
  if (dz.length < out[0] || dz[0].length < out[1])
    return { ...frame, problem: `These settings give an output of shape (${out.join(", ")}); dz is smaller.` };

  frame.dz = dz.slice(0, out[0]).map((row) => row.slice(0, out[1]));
  const products = productsOf(frame);
  /** A table of sums: each product adds its value at its index of this name. */
  const sums = (size, name, value, from = 0) => {
    const added = table(...size, () => 0);
    for (const product of products) {
      const [a, b] = product[name];
      if (isIn([a + from, b + from], size)) added[a + from][b + from] += value(product);
    }
    return added;
  };
  const stamped = ({ x: hq, w: uv }) => entry(x, hq) * entry(w, uv);
  frame.uncut = sums(out.map((n) => n + 2 * p), "z", stamped, p);
  frame.z = sums(out, "z", stamped);
  frame.counts = sums(out, "z", () => 1);
  // transposed-dx and transposed-dw
  frame.dx = sums([H, W], "x", ({ z, w: uv }) => entry(frame.dz, z) * entry(w, uv));
  frame.dw = sums(k, "w", ({ z, x: hq }) => entry(frame.dz, z) * entry(x, hq));

  const [a, b] = originOf(frame, "stuffed");
  frame.stuffed = table(out[0] + k[0] - 1, out[1] + k[1] - 1, (i, j) => {
    const hq = [(i + a) / s, (j + b) / s];
    return hq[0] * W + hq[1] < stamps ? entry(x, hq) : 0;
  });
  frame.turned = w.map((row) => row.toReversed()).reverse();
  frame.conv_dx = table(...out, (...cell) => total(meetings("stuffing", cell, frame).map(([at, uv]) =>
    entryOf(frame, "stuffed", at) * entry(frame.turned, uv))));
  return frame;
}

function render(context) {
  const captions = {
    x: "Input x", dz: "Incoming dz", stuffed: "x°, zeros put into x", w: "Kernel w", turned: "w′, w turned by 180°",
    uncut: "Output z", z: "Output z", conv_dx: "dx of a convolution", counts: "Stamps on each output",
    dx: "Gradient dx", dw: "Gradient dw",
  };

  /** How many inputs along one axis reach output i of it, once all have stamped. */
  const reaching = ({ x, w, stride: s, padding: p }, i, axis) =>
    range(shape(x)[axis]).filter((h) => range(shape(w)[axis]).includes(i + p - s * h)).length;

  function draw({ frame, get, onPoint, edit, legend }) {
    const mode = get("mode");
    const [, met, pointed] = VIEWS[mode];
    const { x, z, w, stride: s, padding: p, stamps } = frame;
    const size = shape(z);
    const used = [...met, ...pointed, ...(mode === "stuffing" ? [] : ["x", "w"])];
    const shown = Object.fromEntries(Object.keys(captions).filter((name) => used.includes(name)).map((name) => {
      const own = name === "uncut" ? size : shape(frame[name]);
      const more = (name === "uncut" && p ? `, padding ${p}` : "") + (name === "x" && mode === "gradient" ? ", taken as dz" : "");
      return [name, grid(name, `${captions[name]}, ${own.join(" × ")}${more}`, frame[name], {
        origin: originOf(frame, name),
        size: own,
        onPoint: pointed.includes(name) && onPoint,
        onEdit: ["x", "w", "dz"].includes(name) && edit(name),
      })];
    }));

    const said = new Set([`Same letter: ${mode === "scatter" ? "where this entry of w lands" : "multiplied with each other"}.`]);
    const mark = (name, css, text, test) => places(shape(frame[name])).forEach((at) => {
      const cell = at.map((n, axis) => n + originOf(frame, name)[axis]);
      if (!shown[name] || !test(cell)) return;
      shown[name].mark(cell, css);
      said.add(text);
    });
    mark("uncut", "cx-padding", "Dashed: cut off by the padding.", (cell) => !isIn(cell, size));
    mark("stuffed", "cx-padding", "Dashed: a zero put in.", (cell) =>
      cell.some((at, axis) => !range(shape(x)[axis]).includes(at / s)));
    for (const name of ["uncut", "z", "conv_dx", "counts"])
      mark(name, "cx-unread", "Hatched in the output: no stamp reaches it.", (cell) =>
        isIn(cell, size) && cell.some((at, axis) => !reaching(frame, at, axis)));
    for (const name of ["x", "dx"])
      mark(name, "cx-unread", `Hatched in ${name}: has not stamped yet.`, ([h, q]) => h * shape(x)[1] + q >= stamps);
    if (mode !== "stuffing") said.add(EDITABLE);
    else if (shape(w).some((k) => p >= k)) said.add("The padding reaches the kernel's size, so x° is cut, too.");
    legend.textContent = [...said].join(" ");
    return shown;
  }

  /** Mark what the cell pointed at meets, and write out the stamp or the sum. */
  function point({ frame, get, shown, status, formula }) {
    const mode = get("mode");
    const [of, names, pointed] = VIEWS[mode];
    const cell = clamp(get("cell"), shape(frame[of]));
    const met = meetings(mode, cell, frame);
    const values = met.map((at) => at.map((place, side) => entryOf(frame, names[side], place)));
    Object.values(shown).forEach((each) => each.clear());
    for (const name of pointed) shown[name].select(cell);
    met.forEach((at, n) => names.forEach((name, side) => shown[name].mark(at[side], "cx-hit", letters(met.length)[n])));

    const { stamps, limits: { stamps: all } } = frame;
    const result = entryOf(frame, pointed[0], cell);
    const equals = relation([result, ...(mode === "scatter" ? [] : values.flat())]);
    const left = { scatter: "x", gradient: "dx", backward: "dx", weight: "dw" }[mode] ?? "z";
    if (mode === "scatter") writeStamp(formula, met, result, frame);
    else {
      const called = { stuffed: "x°", turned: "w′", ...(mode === "gradient" && { x: "dz" }) };
      writeSum(formula, left + pair(cell), met.map((at, n) => [
        at.map((place, side) => (called[names[side]] ?? names[side]) + pair(place)).join(" × "),
        values[n].map(factor).join(" × "),
      ]), result, equals);
    }
    say(status, `${left}${pair(cell)} ${equals} ${show(result)}. ${explain(mode, cell, met, frame)}` +
      (stamps < all ? ` So far ${stamps} of ${all} inputs have stamped.` : ""));
  }

  /** The entries of the stamp of an input of value v, each under its letter, and where they land. */
  function writeStamp(formula, met, v, { w, z }) {
    const entries = met.slice(0, MOST_TERMS).map(([uv, at], n) => {
      const factors = [v, entry(w, uv)];
      const where = isIn(at, shape(z)) ? ` to z${pair(at)}` : ", cut off";
      return `${letters(met.length)[n] ?? pair(uv)}: ${factors.map(factor).join(" × ")} ${relation([...factors, factors[0] * factors[1]])} ${show(factors[0] * factors[1])}${where}`;
    });
    if (met.length > MOST_TERMS) entries.push(`${met.length - MOST_TERMS} more`);
    const terms = entries.flatMap((text, n) => [n ? "; " : "", h("span", { class: "cx-term" }, text)]);
    formula.replaceChildren(h("p", {}, ...terms));
  }

  function explain(mode, cell, met, frame) {
    const { x, w, z, conv_dx, stride: s, padding: p, stamps } = frame;
    const n = met.length;
    const reach = cell.map((at, axis) => reaching(frame, at, axis));
    const many = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;
    /** The rows and columns under a kernel that begins at a place. */
    const under = (begin) => begin.map((at, axis) =>
      `${["rows", "columns"][axis]} ${range(shape(w)[axis], at).map(show).join(", ")}`).join(" and ");
    const waits = cell[0] * shape(x)[1] + cell[1] >= stamps && "It has not stamped yet.";
    const says = {
      scatter() {
        const cut = met.filter(([, at]) => !isIn(at, shape(z))).length;
        return waits || `Its stamp lies on ${under(cell.map((h) => s * h - p))} of the output.` + (cut ? ` Cut off: ${cut} of its ${n} entries.` : "");
      },
      gather() {
        const missed = cell.map((at, axis) => reach[axis] ? "" : ` ${["Row", "Column"][axis]} ${at} lies ` +
          (at + p < s * (shape(x)[axis] - 1) ? "between the stamps." : "past the last stamp."));
        return `${n || "No"} stamp${n > 1 ? "s lie" : " lies"} on it` + (n && n === reach[0] * reach[1] ? `, of ${reach.join(" × ")} inputs.` : `.${missed.join("")}`);
      },
      stuffing: () => `The turned kernel lies on ${under(met[0][0])} of x°, and meets ${many(meetings("gather", cell, frame).length, "input")}.`,
      gradient() {
        const worst = Math.max(...z.flatMap((row, i) => row.map((v, j) => Math.abs(v - conv_dx[i][j]))));
        return `z${pair(cell)} is ${show(entry(z, cell))}. A convolution with these settings takes ${shape(z).join(" × ")} to ${shape(x).join(" × ")}; ` +
          `its dx and z ${worst ? `differ by at most ${show(worst)}` : "are equal everywhere"}.`;
      },
      backward: () => waits || `The gradient is read where its stamp lies, on ${many(n, "output")}.`,
      weight: () => `It lands on ${many(n, "output")}.`,
    };
    return says[mode]();
  }

  return explore(context, { draw, point });
}
