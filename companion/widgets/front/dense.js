// The fully connected explorer. A frame holds the tables x, w, b, dz, z, dw, db and dx, cut to the
// present sizes; `outer`, the share of the example that was added last, and the sum `dw_so_far`; and
// for each shape puzzle the sizes of all eight products, and the products that have the right shape.

/** The axes of a table: N examples, I inputs, O outputs. */
const AXES = { x: "NI", w: "IO", b: "O", dz: "NO", z: "NO", dw: "IO", db: "O", dx: "NI" };
const CAPTIONS = {
  x: "Input x", w: "Weights w", b: "Bias b", dz: "Incoming dz",
  z: "Output z", dw: "Gradient dw", db: "Gradient db", dx: "Gradient dx",
};

/** By gradient: the two factors of its shape puzzle. */
const FACTORS = { dw: ["x", "dz"], dx: ["dz", "w"] };

/** By table pointed at: the tables shown, what else to point at, and the shapes of the product. */
const VIEWS = {
  z: { shown: ["x", "w", "b", "z"], product: [["x", "NI"], ["w", "IO"]] },
  dw: { shown: ["x", "dz", "w", "dw"], also: "w", product: [["x.T", "IN"], ["dz", "NO"]] },
  dw_so_far: { shown: ["x", "dz", "outer", "dw_so_far"], also: "outer" },
  db: { shown: ["dz", "b", "db"], also: "b", product: [["ones", "1N"], ["dz", "NO"]] },
  dx: { shown: ["dz", "w", "x", "dx"], also: "x", product: [["dz", "NO"], ["w.T", "OI"]] },
};

/** By table pointed at: the terms of the sum for an entry, each a list of factors [table, place]. */
const SUMS = {
  // dense-forward
  z: ([n, o], { I }) => [...range(I).map((t) => [["x", [n, t]], ["w", [t, o]]]), [["b", [0, o]]]],
  // dense-dw, over all examples or those that are added
  dw: ([t, o], { N }) => range(N).map((n) => [["x", [n, t]], ["dz", [n, o]]]),
  dw_so_far: (cell, { added }) => SUMS.dw(cell, { N: added }),
  // dense-db
  db: ([, o], { N }) => range(N).map((n) => [["dz", [n, o]]]),
  // dense-dx
  dx: ([n, t], { O }) => range(O).map((o) => [["dz", [n, o]], ["w", [t, o]]]),
};

const transpose = (rows) => rows[0].map((_, c) => rows.map((row) => row[c]));
const multiply = (a, b) => a.map((row) => transpose(b).map((column) => total(row.map((v, m) => v * column[m]))));

/** A row of numbers counts as a table with one row. */
const asTable = (values) => (values[0].map ? values : [values]);
const entryOf = (frame, name, [r, c]) => asTable(frame[name])[r][c];
const sizesOf = ({ x, b, added }) => ({ N: x.length, I: x[0].length, O: b.length, 1: 1, added });
const tuple = (axes) => `(${[...axes].join(", ")}${axes.length < 2 ? "," : ""})`;
const times = (sizes) => sizes.join(" × ");

/** A side of a product, such as "x.T", as a matrix, and the letters of its axes. */
const nameOf = (side) => side.split(".")[0];
const turn = (side, value, turned) => (side.endsWith(".T") ? turned(value) : value);
const matrixOf = (frame, side) => turn(side, frame[nameOf(side)], transpose);
const lettersOf = (side) => turn(side, AXES[nameOf(side)], ([a, b]) => b + a);

/** The eight products of a gradient's two factors, each its two sides. */
function productsOf(target) {
  const [p, q] = FACTORS[target].map((name) => [name, `${name}.T`]);
  return [[p, q], [q, p]].flatMap(([lefts, rights]) => lefts.flatMap((a) => rights.map((b) => [a, b])));
}

/** What is wrong with a product of these sizes: the columns of its row in the list of products. */
function misfits([rows, inner, other, columns], goal) {
  if (inner !== other) return [1, 2];
  return [0, 3].filter((_, axis) => [rows, columns][axis] !== goal[axis]);
}

/** The frame of settings that Python has not stored. */
function compute({ x, w, b, dz, examples: N, inputs: I, outputs: O, added: wanted }) {
  const cut = (values, rows, columns) => values.slice(0, rows).map((row) => row.slice(0, columns));
  const added = Math.min(wanted, N);
  const frame = { added, limits: { added: N } };
  for (const [name, values] of Object.entries({ x, w, b, dz })) {
    const [given, wanted] = [values[0].map ? shape(values) : [values.length], [...AXES[name]].map((axis) => ({ N, I, O })[axis])];
    if (wanted.some((n, axis) => given[axis] < n))
      return { ...frame, problem: `${name} has shape ${tuple(given)}; these sizes need ${tuple(wanted)}.` };
  }
  Object.assign(frame, { x: cut(x, N, I), w: cut(w, I, O), b: b.slice(0, O), dz: cut(dz, N, O) });
  // dense-forward, dense-dw, dense-db, dense-dx
  frame.z = multiply(frame.x, frame.w).map((row) => row.map((v, o) => v + frame.b[o]));
  frame.dw = multiply(transpose(frame.x), frame.dz);
  frame.db = transpose(frame.dz).map(total);
  frame.dx = multiply(frame.dz, transpose(frame.w));

  const share = (n) => table(I, O, (t, o) => frame.x[n][t] * frame.dz[n][o]);
  if (added) frame.outer = share(added - 1);
  frame.dw_so_far = table(I, O, (t, o) => total(range(added).map((n) => share(n)[t][o])));
  for (const target of Object.keys(FACTORS)) {
    const sizes = (sides) => sides.flatMap((side) => shape(matrixOf(frame, side)));
    const products = productsOf(target);
    frame[`${target}_products`] = products.map(sizes);
    for (const sides of products)
      if (!misfits(sizes(sides), shape(frame[target])).length)
        frame[sides.join(" @ ")] = multiply(...sides.map((side) => matrixOf(frame, side)));
  }
  return frame;
}

function render(context) {
  /** "dw(1, 0)", "db(0)". */
  const named = (name, [r, c]) => name + (AXES[name].length < 2 ? `(${c})` : pair([r, c]));
  const captionOf = (frame, name) => `${CAPTIONS[name]} ${tuple(AXES[name])}, ${times([...AXES[name]].map((axis) => sizesOf(frame)[axis]))}`;
  const count = (n, what) => `${n} ${what}${n > 1 ? "s" : ""}`;

  function draw(view) {
    const mode = view.get("mode");
    return VIEWS[mode] ? drawTables(view, mode) : drawPuzzle(view, mode.slice(0, 2));
  }

  function point(view) {
    const mode = view.get("mode");
    const cell = clamp(view.get("cell"), shape(asTable(view.frame[mode])));
    Object.values(view.shown).forEach((each) => each.clear());
    for (const name of [mode, VIEWS[mode]?.also]) view.shown[name]?.select(cell);
    if (VIEWS[mode]) pointAtSum(view, mode, cell);
    else pointAtProduct(view, mode.slice(0, 2), cell);
  }

  function drawTables({ frame, onPoint, edit, legend }, mode) {
    const { shown: names, also } = VIEWS[mode];
    const { N, added } = sizesOf(frame);
    // As in the chapter's picture, the factors stand beside and above the outer product.
    const last = added - 1;
    const heads = { outer: { rows: frame.x[last]?.map(show), columns: frame.dz[last]?.map(show) } };
    const captions = {
      outer: `Example ${last}: x beside it, dz above it`,
      dw_so_far: `dw so far, ${added} of ${count(N, "example")}`,
    };
    const shown = Object.fromEntries(names.filter((name) => frame[name]).map((name) => [name,
      grid(name, captions[name] ?? captionOf(frame, name), frame[name], {
        ...heads[name],
        onPoint: (name === mode || name === also) && onPoint,
        onEdit: ["x", "w", "b", "dz"].includes(name) && edit(name),
      })]));
    const said = [mode === "db" ? "Marked: added up." : "Same letter: multiplied with each other."];
    if (mode === "z") said.push("+: added.");
    if (mode === "db") said.push("ones: a row of N ones.");
    if (mode === "dw_so_far" && added < N) {
      said.push("Hatched: not yet added.");
      for (const name of ["x", "dz"])
        table(...shape(frame[name]), (n, c) => n < added || shown[name].mark([n, c], "cx-unread"));
    }
    legend.textContent = [...said, EDITABLE].join(" ");
    return shown;
  }

  /** Mark what an entry is made of, and write out its sum. */
  function pointAtSum({ frame, shown, status, formula }, mode, cell) {
    const sizes = sizesOf(frame);
    const terms = SUMS[mode](cell, sizes);
    const values = terms.map((term) => term.map(([name, at]) => entryOf(frame, name, at)));
    terms.forEach((term, n) => term.forEach(([name, at]) => {
      const alone = mode === "z" ? "+" : "";
      shown[name].mark(at, "cx-hit", term.length > 1 ? letters(terms.length)[n] : alone);
    }));
    const result = entryOf(frame, mode, cell);
    const equals = relation([result, ...values.flat()]);
    const target = mode.split("_")[0];
    const left = named(target, cell) + (mode === target ? "" : " so far");
    writeSum(formula, left, terms.map((term, n) => [
      term.map(([name, at]) => named(name, at)).join(" × "),
      values[n].map(factor).join(" × "),
    ]), result, equals);

    const last = sizes.added - 1;
    const outer = [[`x[${last}] as a column`, "I1"], [`dz[${last}] as a row`, "1O"]];
    const of = mode === target ? `${target} ${tuple(AXES[target])}` : `Example ${last}`;
    const plus = mode === "z" ? " + b (O,)" : "";
    if (terms.length) formula.prepend(shapeLine(VIEWS[mode].product ?? outer, sizes, `${of} = `, plus));
    say(status, `${left} ${equals} ${show(result)}. ${explain(mode, cell, sizes, frame)}`);
  }

  /** The shapes of a product; the inner sizes, which must agree, stand out. */
  function shapeLine([[left, [a, b]], [right, [c, d]]], sizes, before = "", after = "") {
    const inner = (text) => h("u", {}, h("strong", {}, text));
    const outcome = sizes[b] === sizes[c] ? ` gives ${sizes[a]} × ${sizes[d]}.` : ": no product.";
    return h("p", {}, `${before}${left} (${a}, `, inner(b), `) @ ${right} (`, inner(c), `, ${d})${after}: `,
      `${sizes[a]} × `, inner(sizes[b]), " times ", inner(sizes[c]), ` × ${sizes[d]}${outcome}`);
  }

  function explain(mode, [r, c], { N, O, added }, { x }) {
    const blank = x.every((row) => row[r] === 0) ? ` Input ${r} is 0 in every example: all of row ${r} of dw is 0.` : "";
    if (mode === "dw_so_far" && !added) return "No example is added yet.";
    return {
      z: () => `Row ${r} of x meets column ${c} of w, and b(${c}) is added.`,
      dw: () => `Column ${r} of x, which is row ${r} of x.T, meets column ${c} of dz: a sum over ${count(N, "example")}.${blank}`,
      dw_so_far: () => `Example ${added - 1} came last: row ${r} of its outer product is ${show(x[added - 1][r])} times row ${added - 1} of dz. ` +
        (added < N ? `${added} of ${N} examples added.` : "All examples are added: this is dw."),
      db: () => `Column ${c} of dz, added up over ${count(N, "example")}.`,
      dx: () => `Row ${r} of dz meets row ${c} of w, which is column ${c} of w.T: a sum over ${count(O, "output")}, and over no example but ${r}.`,
    }[mode]();
  }

  /** Where a product that has the gradient's shape has other numbers. */
  function differences(frame, product, target) {
    const all = frame[target].flatMap((row, r) => row.map((v, c) => [[r, c], v]));
    const tolerance = 1e-9 * Math.max(...all.map(([, v]) => Math.abs(v)));
    return all.filter(([[r, c], v]) => Math.abs(frame[product][r][c] - v) > tolerance).map(([cell]) => cell);
  }

  function drawPuzzle({ frame, onPoint, legend }, target) {
    const list = `${target}_products`;
    const products = productsOf(target).map((sides) => sides.join(" @ "));
    const wrong = frame[list].map((sizes) => misfits(sizes, shape(frame[target])));
    const rows = products.map((product, n) =>
      `${product}: ${wrong[n].length ? (wrong[n][0] === 1 ? "no" : "other shape") : "fits"}`.replaceAll(" ", "\u00a0"));
    const shown = {
      [list]: grid(list, `All products of ${FACTORS[target].join(" and ")}`, frame[list], {
        onPoint, rows, columns: ["rows", "inner", "inner", "columns"] }),
      [target]: grid(target, captionOf(frame, target), frame[target]),
    };
    wrong.forEach((columns, n) => columns.forEach((c) => shown[list].mark([n, c], "cx-unread")));
    for (const product of products.filter((product) => frame[product])) {
      const off = differences(frame, product, target);
      const verdict = off.length ? `not ${target}` : `the numbers of ${target}`;
      shown[product] = grid(product, `${product}: ${verdict}`, frame[product]);
      off.forEach((cell) => shown[product].mark(cell, "cx-unread"));
    }
    legend.textContent = `Hatched in the list: sizes that do not fit. Hatched in a product: not the number of ${target}.`;
    return shown;
  }

  /** Say whether a product has the gradient's shape, and whether by accident. */
  function pointAtProduct({ frame, shown, status, formula }, target, [row]) {
    const list = `${target}_products`;
    const sides = productsOf(target)[row];
    const product = sides.join(" @ ");
    const goal = shape(frame[target]);
    const [rows, inner, other, columns] = frame[list][row];
    for (const c of [1, 2]) shown[list].mark([row, c], "cx-hit", inner === other ? "=" : "≠");

    const [[a, b], [c, d]] = sides.map(lettersOf);
    const [e, f] = AXES[target];
    const accidents = new Set([[b, c], [a, e], [d, f]].filter(([p, q]) => p !== q).map((two) => two.sort().join(" = ")));
    const owner = target.slice(1);
    const result = `${rows} × ${columns}`;
    const verdict = () => {
      if (inner !== other) return `does not fit: the inner sizes ${inner} and ${other} differ.`;
      if (!frame[product]) return `fits, but gives ${result}, and ${owner} is ${times(goal)}.`;
      const fits = `fits and gives ${result}, the shape of ${owner}`;
      const off = differences(frame, product, target).length;
      if (!accidents.size) return `${fits}, whatever the sizes. Its numbers are those of ${target}.`;
      return `${fits}, by accident: ${[...accidents].join(" and ")}. ` +
        (off ? `${rows * columns - off} of its ${rows * columns} numbers are those of ${target}.` : `Here even its numbers are those of ${target}.`);
    };
    const many = productsOf(target).filter((each) => frame[each.join(" @ ")]).length;
    formula.replaceChildren(shapeLine(sides.map((side) => [side, lettersOf(side)]), sizesOf(frame)));
    say(status, `${product} ${verdict()} ` + (many > 1 ? `${many} of the 8 products have the shape of ${owner}: shapes alone do not decide.`
      : `1 of the 8 products has the shape of ${owner}.`));
  }

  return explore(context, { draw, point });
}
