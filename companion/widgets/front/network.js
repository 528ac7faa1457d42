// The network explorer. A frame holds the arrays x0 to x5 of one image and their gradients, the
// kernels w0 with dw0, the biases b0, the fully connected weights w4, the probabilities a, the loss,
// and what was measured along the run. The three maps of an array stand side by side.

const TAPS = range(9).map((n) => [Math.floor(n / 3), n % 3]);
/** Row r and column c of maps of width W side by side: row, column and map. */
const inMap = ([r, c], W) => [r, c % W, Math.floor(c / W)];

/** Every multiplication of the forward pass: the places of its input, its weight and its output. */
const CONV = table(12, 36, (...out) => {
  const [i, j, k] = inMap(out, 12);
  return TAPS.map(([u, v]) => [[i + u, j + v], [u, v + 3 * k], out]);
}).flat(2);
const DENSE = table(4, 12, (...place) => {
  const [i, j, k] = inMap(place, 4);
  return range(10).map((o) => [place, [12 * i + 3 * j + k, o], [o]]);
}).flat(2);

/** By table of sums: the multiplications, the tables multiplied, and which of the places is whose. */
const SUMS = {
  // conv-forward, conv-dx, conv-dw
  x1: [CONV, "x0", "w0", 0, 1, 2],
  dx0: [CONV, "dx1", "w0", 2, 1, 0],
  dw0: [CONV, "dx1", "x0", 2, 0, 1],
  // dense-forward, dense-dx
  x5: [DENSE, "x3", "w4", 0, 1, 2],
  dx3: [DENSE, "dx5", "w4", 2, 1, 0],
};
const entry = (frame, name, [r, c]) => (c === undefined ? frame[name][r] : frame[name][r][c]);

/** Put a table of sums into the frame; `sums` is what they begin with. */
function addUp(frame, name, sums) {
  const [products, left, right, a, b, to] = SUMS[name];
  for (const places of products) {
    const [r, c] = places[to];
    const product = entry(frame, left, places[a]) * entry(frame, right, places[b]);
    if (c === undefined) sums[r] += product;
    else sums[r][c] += product;
  }
  frame[name] = sums;
}

/** The place of the largest number of a window of x2, the first of several: pool-max. */
const winner = ({ x2 }, [i, c]) =>
  TAPS.map(([u, v]) => [3 * i + u, 3 * c + v]).reduce((best, at) => (x2[at[0]][at[1]] > x2[best[0]][best[1]] ? at : best));

/** Packed numbers: 0 takes one bit, any other n a one, its sign, and n - 1 ones to a last zero. */
const unpack = (text) =>
  [...atob(text)].map((letter) => letter.charCodeAt().toString(2).padStart(8, "0")).join("").match(/0|1[01]1*0/g)
    .map((code) => Math.max(0, code.length - 2) * (code[1] === "1" ? -1 : 1));

function compute({ images, labels, run, digit, snapshot, gradient }) {
  const image = unpack(images);
  // Each snapshot is stored as what has changed since the one before.
  const changes = unpack(run);
  const theta = range(520).map((m) => total(range(snapshot + 1).map((n) => changes[520 * n + m])) / 8);
  const label = Number(labels[digit]);
  const frame = {
    label,
    x0: table(14, 14, (h, q) => image[196 * digit + 14 * h + q] / 8),
    w0: table(3, 9, (u, c) => theta[9 * u + 3 * (c % 3) + Math.floor(c / 3)]),
    b0: theta.slice(27, 30),
    w4: table(48, 10, (t, o) => theta[30 + 10 * t + o]),
  };
  // network-forward
  addUp(frame, "x1", table(12, 36, (i, c) => frame.b0[Math.floor(c / 12)]));
  frame.x2 = frame.x1.map((row) => row.map((v) => Math.max(v, 0)));
  frame.x3 = table(4, 12, (...cell) => entry(frame, "x2", winner(frame, cell)));
  addUp(frame, "x5", theta.slice(510));
  const most = Math.max(...frame.x5);
  const powers = frame.x5.map((score) => Math.exp(score - most));
  frame.a = powers.map((power) => power / total(powers));
  frame.loss = Math.log(total(powers)) + most - frame.x5[label];
  // network-backward
  frame.dx5 = frame.a.map((p, o) => (gradient === "loss" ? p - (o === label) : Number(o === label)));
  addUp(frame, "dx3", table(4, 12, () => 0));
  frame.dx2 = table(12, 36, () => 0);
  table(4, 12, (...cell) => {
    const [r, c] = winner(frame, cell);
    frame.dx2[r][c] = entry(frame, "dx3", cell);
  });
  frame.dx1 = table(12, 36, (r, c) => (frame.x1[r][c] > 0 ? frame.dx2[r][c] : 0));
  addUp(frame, "dx0", table(14, 14, () => 0));
  addUp(frame, "dw0", table(3, 9, () => 0));
  return frame;
}

function render(context) {
  /** What to draw beside the table that is pointed at and its gradient. */
  const MORE = { x1: ["x0", "w0"], x2: ["x1", "dx1"], x3: ["x2", "dx2"] };
  const sub = (name) => name.replace(/\d/, (digit) => "₀₁₂₃₄₅"[digit]);

  function draw({ frame, get, onPoint }) {
    const layer = get("layer");
    const classes = range(10).map((o) => (o === frame.label ? `${o}, right` : o));
    const shown = {};
    for (const name of [layer, "d" + layer, ...(MORE[layer] ?? [])])
      shown[name] = layer === "x5" ? bars(name, sub(name), classes, frame[name])
        : pixels(name, sub(name), frame[name], name.endsWith("x0") ? 1 : 3, name.endsWith(layer) && onPoint);
    shown.a = bars("a", "probabilities a", classes, frame.a, { low: 0, high: 1 });

    const log = Math.log10;
    const ticks = frame.steps.map((step) => [Math.log2(step + 1), step]);
    const lines = [["loss", 1, ""], ["held-out", 5, "2"], ["dw₀", 0, "6 3"], ["dw₄", 3, "9 3 2 3"]].map(([label, at, dash], n) =>
      ({ label, at, dash, points: frame.curves[n].map((v, i) => [ticks[i][0], log(v)]) }));
    shown.run = plot("run", "loss, and lengths of the gradients dw₀ and dw₄", {
      x: { low: 0, high: 10, label: "step", ticks },
      y: { low: -1.5, high: 0.5, ticks: [0.1, 0.3, 1, 3].map((v) => [log(v), v]) },
      lines,
      dots: lines.map(({ points }) => {
        const [x, y] = points[get("snapshot")];
        return { x, y };
      }),
      words: lines.map(({ label }, n) => `${label}: ${frame.curves[n].join(", ")}.`).join(" "),
    });
    return shown;
  }

  /** Mark what the number pointed at meets, say it, and write out its sum. */
  function point({ frame, get, shown, status, formula }) {
    const name = get("layer");
    const most = Math.max(...frame.a);
    const read = `Step ${frame.steps[get("snapshot")]}: the ${frame.label} is read as ${frame.a.indexOf(most)}, with probability ${show(most)}.`;
    if (name === "x5") {
      writeSum(formula, "L", [[`−log a(${frame.label})`, `−log ${show(frame.a[frame.label])}`]], frame.loss, "≈");
      return say(status, `${read} The loss is ${show(frame.loss)}.`);
    }
    const back = "d" + name;
    const cell = clamp(get("cell"), shape(frame[name]));
    const value = (name, place = cell) => entry(frame, name, place);
    /** A place as its array has it: the map last. */
    const at = (name, place = cell) =>
      `${sub(name)}(${(/x[123]|w0/.test(name) ? inMap(place, frame[name][0].length / 3) : place).join(", ")})`;

    Object.values(shown).forEach((picture) => picture.clear?.());
    const pointed = [name, back, ...(name === "x2" ? MORE.x2 : [])];
    for (const name of pointed) shown[name].select(cell);
    const [i, j, k] = inMap(cell, 12);
    if (name === "x1") {
      shown.x0.mark([i, j], "cx-hit", 3, 3);
      shown.w0.mark([0, 3 * k], "cx-hit", 3, 3);
    }
    if (name === "x3")
      for (const picture of [shown.x2, shown.dx2]) {
        picture.mark(cell.map((n) => 3 * n), "cx-hit", 3, 3);
        picture.mark(winner(frame, cell), "cx-at");
      }
    const says = pointed.map((name) => `${at(name)} ${relation([value(name)])} ${show(value(name))}`).join(", ");
    const change = ["lowers", "does not change", "raises"][Math.sign(value(back)) + 1];
    say(status, `${read} ${says}. A larger ${sub(name)} here ${change} ${get("gradient") === "loss" ? "the loss" : "the right score"}.`);

    const sum = name === "x1" || name === "x2" ? name : back;
    const [products, left, right, a, b, to] = SUMS[sum] ?? [[]];
    const terms = products
      // Most of dx1 is zero.
      .filter((places) => places[to].every((n, axis) => n === cell[axis]) && (left !== "dx1" || value(left, places[a])))
      .map((places) => [
        `${at(left, places[a])} × ${at(right, places[b])}`,
        `${factor(value(left, places[a]))} × ${factor(value(right, places[b]))}`,
      ]);
    if (name === "x1") terms.push([`b₀(${k})`, factor(frame.b0[k])]);
    if (name === "x2") terms.push([`max(0, ${at("x1")})`, `max(0, ${show(value("x1"))})`]);
    writeSum(formula, at(sum), terms, value(sum), "≈");
  }

  return explore(context, { draw, point });
}
