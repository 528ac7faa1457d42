// The softmax explorer. A frame holds rows of K numbers: z, the exponentials of the shifted scores,
// a, da, dz, `through` (da through the Jacobian), `squared` (dz of the squared error); the Jacobian;
// and for the overflow, of the scores as they stand (`naive`) and less the largest (`stable`), a
// table (K, 3) of scores, exponentials and shares of the sum. null stands for inf and NaN.

const finite = (v) => (Number.isFinite(v) ? v : null);

/** The exponential; rounded once where it has lost digits, as NumPy's, and not twice as the engine's. */
const exp = (v) => (v < -700 ? Math.exp(v + 600) * Math.exp(-600) : Math.exp(v));

/** The frame of settings that Python has not stored. */
function compute({ z: row, classes, right_class: wanted, shift }) {
  const z = row.slice(0, classes ?? row.length);
  const label = Math.min(wanted, z.length - 1);
  const scores = z.map((v) => v + shift);
  const most = Math.max(...scores);
  const shares = (exponents) => {
    const exponentials = exponents.map(exp);
    const sum = total(exponentials);
    // softmax-forward
    return exponents.map((v, k) => [v, exponentials[k], exponentials[k] / sum]);
  };
  const stable = shares(scores.map((v) => v - most));
  const naive = shares(scores).map((line) => line.map(finite));
  const a = stable.map(([, , share]) => share);
  // softmax-backward
  const back = (da) => {
    const mean = total(da.map((v, k) => v * a[k]));
    return a.map((share, k) => share * (da[k] - mean));
  };
  // softmax-da
  const da = a.map((share, k) => (k === label ? -1 / share : 0));
  // softmax-fused
  const dz = a.map((share, k) => share - (k === label));
  const exponentials = stable.map(([, e]) => e);
  return {
    limits: { right_class: z.length - 1 }, label, shift, z, a, dz, stable, naive, exponentials,
    // softmax-jacobian
    jacobian: table(a.length, a.length, (i, j) => a[i] * ((i === j) - a[j])),
    // softmax-log
    loss: Math.log(total(exponentials)) - stable[label][0],
    da: da.map(finite),
    through: back(da).map(finite),
    squared: back(dz),
    naive_a: naive.map(([, , share]) => share),
  };
}

function render(context) {
  const SMALLEST = 2 ** -1022;
  const or = (text) => (v) => v ?? text;

  function draw({ frame, get, onPoint, edit, legend }) {
    const mode = get("mode");
    const { z, a, label, shift, jacobian, naive, stable } = frame;
    const heads = z.map((_, k) => (k === label ? `${k} ✓` : `${k}`));
    const column = (name, caption, low, high, more = {}) => barGrid(name, caption, heads, frame[name], { low, high, ...more });
    const summed = (name, caption, low) =>
      column(name, caption, low, 1, { sum: sumOf(frame[name]), onPoint });
    const reach = Math.max(4, ...z.map(Math.abs));
    const score = (pointed) => column("z", "Scores z", -reach, reach, { onEdit: edit("z"), onPoint: pointed });
    const said = ["✓ marks the right class."];

    const pictures = {
      forward: () => ({
        z: score(onPoint),
        exponentials: summed("exponentials", shift ? "exp(z + θ − max)" : "exp(z − max)", 0),
        a: summed("a", "Probabilities a", 0),
      }),
      jacobian() {
        const names = (letter) => z.map((_, k) => `${letter}(${k})`);
        const slopes = grid("jacobian", "Row: ∂ of a, column: by z", jacobian, { onPoint, rows: names("a"), columns: names("z") });
        const [head, ...lines] = slopes.node.querySelectorAll("tr");
        head.append(h("th", { scope: "col" }, "sum"));
        lines.forEach((line, i) => line.append(h("td", { class: "cx-sum" }, sumOf(jacobian[i]))));
        addSums(slopes, [...z.map((_, j) => sumOf(jacobian.map((line) => line[j]))), ""]);
        return { z: score(), a: column("a", "Probabilities a", 0, 1), jacobian: slopes };
      },
      backward() {
        const through = frame.through.map(or("nan"));
        return {
          z: score(onPoint),
          a: column("a", "Probabilities a", 0, 1, { onPoint }),
          dz: summed("dz", "dz = a − y", -1),
          da: barGrid("da", "Incoming da", heads, frame.da.map(or("-inf"))),
          through: barGrid("through", "da through the Jacobian", heads, through, { low: -1, high: 1, sum: through.includes("nan") ? "nan" : sumOf(through) }),
          squared: summed("squared", "dz of the squared error", -1),
        };
      },
      overflow() {
        const columns = (first) => [first, "exp", "exp / sum"];
        const ways = {
          naive: grid("naive", "As they stand", naive.map(([v, e, share]) => [v, e ?? "inf", share ?? "nan"]), { onPoint, rows: heads, columns: columns("z + θ") }),
          stable: grid("stable", "Less the largest", stable, { onPoint, rows: heads, columns: columns("z + θ − max") }),
        };
        const shares = frame.naive_a;
        addSums(ways.naive, ["", showSum(naive), shares.includes(null) ? "nan" : sumOf(shares)]);
        addSums(ways.stable, ["", showSum(stable), sumOf(a)]);
        return { z: score(), ...ways };
      },
    }[mode]();
    if (mode === "jacobian") said.push("i, j: the two probabilities that the derivative is made of.");
    if (mode === "jacobian" || mode === "backward") said.push("≈ 0: zero but for rounding.");
    said.push(EDITABLE);
    legend.textContent = said.join(" ");
    return pictures;
  }

  /** The sum of a table's exponentials: inf if one of them is, or if they overflow together. */
  const sumOfExponentials = (lines) => total(lines.map(([, e]) => e ?? Infinity));
  const showSum = (lines) => show(finite(sumOfExponentials(lines)) ?? "inf");

  /** Mark what the cell pointed at meets, and write it out with numbers. */
  function point(view) {
    const { frame, get, shown, status, formula } = view;
    const mode = get("mode");
    const size = { jacobian: shape(frame.jacobian), overflow: shape(frame.naive) }[mode] ?? [frame.z.length, 1];
    const cell = clamp(get("cell"), size);
    Object.values(shown).forEach((each) => each.clear());
    const [lines, sentence] = { forward, jacobian, backward, overflow }[mode](cell, view);
    formula.replaceChildren(...lines.map((line) => h("p", {}, ...[line].flat())));
    say(status, sentence);
  }

  const strong = (text) => h("strong", {}, text);

  function forward([k], { frame: { z, a, exponentials, stable, label, loss, shift }, shown }) {
    for (const name of ["z", "a"]) shown[name].select([k, 0]);
    z.forEach((_, other) => shown.exponentials.mark([other, 0], "cx-hit"));
    shown.exponentials.select([k, 0]);
    const sum = total(exponentials);
    const theta = shift ? " + θ" : "";
    const moved = shift ? ` The shift θ = ${show(shift)} changes none of this.` : "";
    return [
      [
        `a(${k}) = exp(z(${k})${theta} − max) / sum`,
        `≈ ${show(exponentials[k])} / ${show(sum)}`,
        strong(`≈ ${show(a[k])}`),
        `L = −log a(${label}) = log(sum) − (z(${label})${theta} − max) ≈ ${show(Math.log(sum))} − ${factor(stable[label][0])} ≈ ${show(loss)}`,
      ],
      `Class ${k} has probability ${show(a[k])}. The right class is ${label}: the loss is ${show(loss)}.${moved}`,
    ];
  }

  function jacobian([i, j], { frame: { a, jacobian: slopes }, shown }) {
    shown.jacobian.select([i, j]);
    shown.a.mark([i, 0], "cx-hit", "i");
    shown.a.mark([j, 0], "cx-hit", i === j ? "i = j" : "j");
    const slope = slopes[i][j];
    const moves = slope ? `${slope > 0 ? "rises" : "falls"} by ${show(Math.abs(slope))} times as much` : "does not move";
    return [
      [
        `∂a(${i})/∂z(${j}) = a(${i}) × ([${i} = ${j}] − a(${j}))`,
        `≈ ${show(a[i])} × (${Number(i === j)} − ${show(a[j])})`,
        strong(`≈ ${show(slope)}`),
        `Row ${i}: ${slopes[i].map(factor).join(" + ")} ≈ 0`,
      ],
      `Nudge score ${j} up by a little: probability ${i} ${moves}.`,
    ];
  }

  function backward([k], { frame, shown }) {
    const { a, dz, label, jacobian: slopes } = frame;
    const da = frame.da.map(or("-inf"));
    const through = frame.through[k] ?? "nan";
    for (const name of ["z", "dz", "through", "squared"]) shown[name].select([k, 0]);
    const y = Number(k === label);
    shown.a.select([k, 0]);
    da.forEach((_, i) => shown.da.mark([i, 0], "cx-hit"));
    const pushes = dz[k] ? `Descent moves score ${k} ${dz[k] < 0 ? "up" : "down"}${y ? ", as it is the right class" : ", in proportion to its probability"}.`
      : `Nothing moves score ${k}.`;
    const lost = through === "nan" ? ` One after the other, the steps give nan: a(${label}) ${a[label] ? "is so small that 1 / a overflows" : "has rounded to 0"}, and da is −inf.`
      : " The incoming da through the Jacobian gives the same.";
    return [
      [
        [`dz(${k}) = a(${k}) − y(${k}) ≈ ${show(a[k])} − ${y} `, strong(`≈ ${show(dz[k])}`)],
        "Through the Jacobian: " + da.map((_, i) => `da(${i}) × ∂a(${i})/∂z(${k})`).join(" + "),
        "≈ " + da.map((v, i) => `${factor(v)} × ${factor(slopes[i][k])}`).join(" + "),
        strong(`≈ ${show(through)}`),
      ],
      `dz(${k}) ≈ ${show(dz[k])}. ${pushes}${lost}`,
    ];
  }

  function overflow(cell, { frame: { naive, stable, a, label, loss, shift, naive_a: shares }, shown }) {
    const [k] = cell;
    for (const way of [shown.naive, shown.stable]) way.select(cell);
    const sum = sumOfExponentials(naive);
    const [score, e, share] = naive[k];
    const happens = sum === Infinity ? naive.every(([, e]) => Number.isFinite(e)) ? "Each exp is finite, but their sum is inf: every share is 0."
      : "exp is inf above 709.78, and so is the sum: every share is 0 or nan."
      : sum === 0 ? "Every exp has rounded to 0: each share is 0 / 0, which is nan."
        : sum < SMALLEST ? "Every exp is so small that few of its digits are left, so the shares are off."
          : "Both ways agree.";
    const price = shares[label] === null ? "nan" : shares[label] ? -Math.log(shares[label]) : "inf";
    return [
      [
        `As they stand: exp(${show(score)}) / sum = ${show(e ?? "inf")} / ${showSum(naive)} = ${show(share ?? "nan")}`,
        [`Less the largest: exp(${show(stable[k][0])}) / sum ≈ ${show(stable[k][1])} / ${showSum(stable)} `, strong(`≈ ${show(a[k])}`)],
        `Loss: −log of the share of class ${label} as they stand, ${show(price)}; from the scores, ${show(loss)}.`,
      ],
      `θ = ${show(shift)}. ${happens} Less the largest, a(${k}) ≈ ${show(a[k])}.`,
    ];
  }

  return explore(context, { draw, point });
}
