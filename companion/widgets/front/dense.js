// The fully connected explorer. A frame holds the tables x, w, b, dz, z, dw, db and dx, cut to the
// present sizes; `outer`, the share of the example that was added last, and the sum `dw_so_far`; and
// for each shape puzzle the sizes of all eight products, and the products that have the right shape.

/** The axes of a table or of one side of a product: N examples, I inputs, O outputs. */
const AXES = {
  x: "NI", "x.T": "IN", w: "IO", "w.T": "OI", b: "O", z: "NO",
  dx: "NI", dw: "IO", db: "O", dz: "NO", "dz.T": "ON",
  "a row of ones": "1N", "its x as a column": "I1", "its dz as a row": "1O",
};
const CAPTIONS = { x: "Input", w: "Weights", b: "Bias", z: "Output", dz: "Incoming" };

/** By gradient: the two factors of its shape puzzle. */
const FACTORS = { dw: ["x", "dz"], dx: ["dz", "w"] };

/** By table pointed at: the tables shown, the sides of the product, what else can be pointed at. */
const VIEWS = {
  z: [["x", "w", "b", "z"], ["x", "w"]],
  dw: [["x", "dz", "w", "dw"], ["x.T", "dz"], "w"],
  dw_so_far: [["x", "dz", "outer", "dw_so_far"], ["its x as a column", "its dz as a row"], "outer"],
  db: [["dz", "b", "db"], ["a row of ones", "dz"], "b"],
  dx: [["dz", "w", "x", "dx"], ["dz", "w.T"], "x"],
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
const matrixOf = (frame, side) => (side.endsWith(".T") ? transpose(frame[side.slice(0, -2)]) : frame[side]);

/** A row of numbers counts as a table with one row. */
const asTable = (values) => (values[0].map ? values : [values]);
const entryOf = (frame, name, [r, c]) => asTable(frame[name])[r][c];
const sizesOf = ({ x, b, added }) => ({ N: x.length, I: x[0].length, O: b.length, 1: 1, added });
const lengthsOf = (name, sizes) => [...AXES[name]].map((axis) => sizes[axis]);
const tuple = (axes) => `(${[...axes].join(", ")}${axes.length < 2 ? "," : ""})`;

/** The eight products of a gradient's two factors, each its two sides. */
function productsOf(target) {
  const [p, q] = FACTORS[target].map((name) => [name, name + ".T"]);
  return [[p, q], [q, p]].flatMap(([lefts, rights]) => lefts.flatMap((a) => rights.map((b) => [a, b])));
}

/** The columns of a product's row in the list of products that do not fit, given its sizes. */
const misfits = ([rows, inner, other, columns], goal) =>
  inner === other ? [0, 3].filter((c) => (c ? columns !== goal[1] : rows !== goal[0])) : [1, 2];

/** The frame of settings that Python has not stored. */
function compute({ x, w, b, dz, examples: N, inputs: I, outputs: O, added: wanted }) {
  const added = Math.min(wanted, N);
  const frame = { added, limits: { added: N } };
  for (const [name, values] of Object.entries({ x, w, b, dz })) {
    const given = values[0].map ? shape(values) : [values.length];
    const needed = lengthsOf(name, { N, I, O });
    if (needed.some((n, axis) => n > given[axis]))
      return { ...frame, problem: `${name} has shape ${tuple(given)}; these sizes need ${tuple(needed)}.` };
    const [rows, columns] = needed;
    frame[name] = values.slice(0, rows).map((row) => row.slice?.(0, columns) ?? row);
  }
  const sizes = sizesOf(frame);
  // dense-forward, dense-dw, dense-db, dense-dx
  frame.z = multiply(frame.x, frame.w).map((row) => row.map((v, o) => v + frame.b[o]));
  frame.dw = multiply(transpose(frame.x), frame.dz);
  frame.db = transpose(frame.dz).map(total);
  frame.dx = multiply(frame.dz, transpose(frame.w));

  const share = (n) => table(I, O, (t, o) => frame.x[n][t] * frame.dz[n][o]);
  if (added) frame.outer = share(added - 1);
  frame.dw_so_far = table(I, O, (t, o) => total(range(added).map((n) => share(n)[t][o])));
  for (const target in FACTORS)
    frame[target + "_products"] = productsOf(target).map((sides) => {
      const shapes = sides.flatMap((side) => lengthsOf(side, sizes));
      if (!misfits(shapes, lengthsOf(target, sizes)).length)
        frame[sides.join(" @ ")] = multiply(...sides.map((side) => matrixOf(frame, side)));
      return shapes;
    });
  return frame;
}

function render(context) {
  /** "dw(1, 0)", "db(0)". */
  const named = (name, [r, c]) => name + (AXES[name][1] ? pair([r, c]) : `(${c})`);
  const captionOf = (frame, name) =>
    `${CAPTIONS[name] ?? "Gradient"} ${name} ${tuple(AXES[name])}, ${lengthsOf(name, sizesOf(frame)).join(" × ")}`;

  function draw(view) {
    const mode = view.get("mode");
    context.el.querySelector("[data-name=added]").disabled = mode !== "dw_so_far";
    return VIEWS[mode] ? drawTables(view, mode) : drawPuzzle(view, mode.slice(0, 2));
  }

  function point(view) {
    const mode = view.get("mode");
    const [, , also] = VIEWS[mode] ?? [];
    const cell = clamp(view.get("cell"), shape(asTable(view.frame[mode])));
    Object.values(view.shown).forEach((each) => each.clear());
    for (const name of [mode, also]) view.shown[name]?.select(cell);
    if (VIEWS[mode]) pointAtSum(view, mode, cell);
    else pointAtProduct(view, mode.slice(0, 2), cell);
  }

  function drawTables({ frame, onPoint, edit, legend }, mode) {
    const [names, , also] = VIEWS[mode];
    const { N, added } = sizesOf(frame);
    const last = added - 1;
    const captions = {
      outer: `Example ${last}: x beside it, dz above it`,
      dw_so_far: `dw so far (${added} of ${N} added)`,
    };
    const shown = Object.fromEntries(names.filter((name) => frame[name]).map((name) => [name,
      grid(name, captions[name] ?? captionOf(frame, name), frame[name], {
        // As in the chapter's picture, the factors stand beside and above the outer product.
        ...(name === "outer" && { rows: frame.x[last].map(show), columns: frame.dz[last].map(show) }),
        onPoint: (name === mode || name === also) && onPoint,
        onEdit: CAPTIONS[name] && name !== "z" && edit(name),
      })]));
    const partly = mode === "dw_so_far" && added < N;
    for (const name of partly ? FACTORS.dw : [])
      table(...shape(frame[name]), (n, c) => n < added || shown[name].mark([n, c], "cx-unread"));
    legend.textContent = `Same letter: multiplied with each other. No letter: added. ${partly ? "Hatched: not yet added. " : ""}${EDITABLE}`;
    return shown;
  }

  /** Mark what an entry is made of, and write out its sum. */
  function pointAtSum({ frame, shown, status, formula }, mode, cell) {
    const sizes = sizesOf(frame);
    const terms = SUMS[mode](cell, sizes);
    const values = terms.map((term) => term.map(([name, at]) => entryOf(frame, name, at)));
    terms.forEach((term, n) => term.forEach(([name, at]) =>
      shown[name].mark(at, "cx-hit", term[1] && letters(terms.length)[n])));
    const result = entryOf(frame, mode, cell);
    const equals = relation([result, ...values.flat()]);
    const target = mode.split("_")[0];
    const left = named(target, cell) + (mode === target ? "" : " so far");
    writeSum(formula, left, terms.map((term, n) => [
      term.map(([name, at]) => named(name, at)).join(" × "),
      values[n].map(factor).join(" × "),
    ]), result, equals);

    const of = mode === target ? `${target} ${tuple(AXES[target])}` : `Example ${sizes.added - 1}`;
    if (terms[0]) formula.prepend(shapeLine(VIEWS[mode][1], sizes, of + " = ", mode === "z" ? " + b (O,)" : ""));
    say(status, `${left} ${equals} ${show(result)}. ${explain(mode, cell, sizes, frame)}`);
  }

  /** The shapes of a product; the inner sizes, which must agree, stand out. */
  function shapeLine(sides, sizes, before = "", after = "") {
    const [[a, b], [c, d]] = sides.map((side) => AXES[side]);
    const inner = (text) => h("u", {}, h("strong", {}, text));
    return h("p", {}, `${before}${sides[0]} (${a}, `, inner(b), `) @ ${sides[1]} (`, inner(c), `, ${d})${after}: ${sizes[a]} × `,
      inner(sizes[b]), " times ", inner(sizes[c]), ` × ${sizes[d]}` +
        (sizes[b] === sizes[c] ? ` gives ${sizes[a]} × ${sizes[d]}.` : ": no product."));
  }

  function explain(mode, [r, c], { N, added }, { x }) {
    const last = added - 1;
    const blank = x.every((row) => row[r] === 0) ? ` Input ${r} is 0 in every example, so row ${r} of dw is 0.` : "";
    const come = () => `Example ${last} came last: row ${r} of its outer product is ${show(x[last][r])} times row ${last} of dz. ` +
      (added < N ? `${added} of ${N} are added.` : "All are added: this is dw.");
    return {
      z: () => `Row ${r} of x meets column ${c} of w, and b(${c}) is added.`,
      dw: () => `Column ${r} of x, which is row ${r} of x.T, meets column ${c} of dz: a sum over the examples.${blank}`,
      dw_so_far: () => (added ? come() : "No example is added yet."),
      db: () => `Column ${c} of dz: a sum over the examples.`,
      dx: () => `Row ${r} of dz meets row ${c} of w, which is column ${c} of w.T: a sum over the outputs, within one example.`,
    }[mode]();
  }

  /** Where a product that has the gradient's shape has other numbers. */
  function differences(frame, product, target) {
    const tolerance = 1e-9 * Math.max(...frame[target].flat().map(Math.abs));
    return frame[target].flatMap((row, r) => row.flatMap((v, c) =>
      Math.abs(frame[product][r][c] - v) > tolerance ? [[r, c]] : []));
  }

  function drawPuzzle({ frame, onPoint, legend }, target) {
    const list = target + "_products";
    const products = productsOf(target).map((sides) => sides.join(" @ "));
    const wrong = frame[list].map((sizes) => misfits(sizes, shape(frame[target])));
    const rows = products.map((product, n) =>
      `${product}: ${{ 0: "other shape", 1: "no", 3: "other shape" }[wrong[n][0]] ?? "fits"}`.replaceAll(" ", "\u00a0"));
    const shown = {
      [list]: grid(list, `All products of ${FACTORS[target].join(" and ")}`, frame[list], {
        onPoint, rows, columns: ["rows", "inner", "inner", "columns"] }),
      [target]: grid(target, captionOf(frame, target), frame[target]),
    };
    wrong.forEach((columns, n) => columns.forEach((c) => shown[list].mark([n, c], "cx-unread")));
    for (const product of products.filter((product) => frame[product])) {
      const off = differences(frame, product, target);
      shown[product] = grid(product, `${product}: ${off[0] ? "not" : "the numbers of"} ${target}`, frame[product]);
      off.forEach((cell) => shown[product].mark(cell, "cx-unread"));
    }
    legend.textContent = `Hatched: sizes that do not fit, and numbers that are not those of ${target}.`;
    return shown;
  }

  /** Say whether a product has the gradient's shape, and whether by accident. */
  function pointAtProduct({ frame, shown, status, formula }, target, [row]) {
    const list = target + "_products";
    const products = productsOf(target);
    const sides = products[row];
    const product = sides.join(" @ ");
    const [rows, inner, other, columns] = frame[list][row];
    for (const c of [1, 2]) shown[list].mark([row, c], "cx-hit", inner === other ? "=" : "≠");
    formula.replaceChildren(shapeLine(sides, sizesOf(frame)));

    const owner = target[1];
    const [[a, b], [c, d], [e, f]] = [...sides, owner].map((name) => AXES[name]);
    const accidents = [[b, c], [a, e], [d, f]].filter(([p, q]) => p !== q).flat();
    let verdict = `does not fit: the inner sizes ${inner} and ${other} differ.`;
    if (inner === other) {
      const many = rows * columns;
      verdict = `fits, but gives ${rows} × ${columns}; ${owner} is ${shape(frame[target]).join(" × ")}.`;
      const why = accidents[0] ? "by accident: " + [...new Set(accidents)].sort().join(" = ") : "whatever the sizes";
      if (frame[product])
        verdict = `fits and gives the shape of ${owner}, ${why}. ` +
          `${many - differences(frame, product, target).length} of its ${many} numbers are those of ${target}.`;
    }
    const fitting = products.filter((each) => frame[each.join(" @ ")]).length;
    say(status, `${product} ${verdict} Products with the shape of ${owner}: ${fitting} of 8.` +
      (fitting > 1 ? " Shapes alone do not decide." : ""));
  }

  return explore(context, { draw, point });
}
