// The ReLU explorer. A frame holds what there is at one number, `at`: the three `points` that a nudge
// reaches, the `slopes` (the one that is used, then differences to the left, to both sides and to the
// right) and, below them, the same times the incoming gradient; for the pictures the corners of the
// `curve` and of the `ramp`, its central difference; and the `row` of numbers that can be typed.

const [USED, LEFT, CENTRAL, RIGHT] = range(4);
const EDGE = 4;

/** relu-forward */
const relu = (z) => Math.max(z, 0);
/** gradcheck-central, over the distance of the two numbers as they were rounded */
const central = (z, step) => (relu(z + step) - relu(z - step)) / (z + step - (z - step));
/** relu-backward */
const gate = (da, z) => (z > 0 ? da : 0);

/** The frame of settings that Python has not stored. */
function compute({ z, da, at, incoming, step }) {
  const points = [at - step, at, at + step].map((v) => [v, relu(v)]);
  const [[, below], [, a], [, above]] = points;
  const slopes = [gate(1, at), (a - below) / step, central(at, step), (above - a) / step];
  const corners = [-EDGE, -step, 0, step, EDGE];
  return {
    points,
    subgradients: at === 0 ? [0, 1] : [slopes[USED], slopes[USED]],
    curve: corners.map((v) => [v, relu(v)]),
    ramp: corners.map((v) => [v, central(v, step)]),
    slopes: [slopes, slopes.map((slope) => slope * incoming)],
    row: [
      z, da, z.map(relu), z.map((v) => gate(1, v)), z.map((v, n) => gate(da[n], v)),
      z.map((v, n) => da[n] * central(v, step)),
    ],
  };
}

function render(context) {
  const line = (at, a, slope, reach) => [at - reach, at + reach].map((v) => [v, a + slope * (v - at)]);
  const ticks = (...values) => values.map((v) => [v, show(v)]);

  function draw({ frame, get, edit, legend }) {
    const { points, slopes: [slopes], row, subgradients: [low, high] } = frame;
    const [from, [at, a], to] = points;
    const kink = low < high;
    const axis = { low: -EDGE, high: EDGE, label: "z", ticks: ticks(-4, -3, -2, -1, 0, 1, 2, 3, 4) };
    const touching = kink
      ? [0.5, 1].map((slope) => ({ label: `slope ${show(slope)}`, points: line(0, 0, slope, 1.4), dash: "1 4" }))
      : [];
    const curve = plot("curve", "a = max(z, 0)", {
      x: axis,
      y: { low: -1.5, high: 4, ticks: ticks(-1, 0, 1, 2, 3, 4) },
      lines: [
        { label: "", points: frame.curve },
        { label: `slope used: ${show(slopes[USED])}`, points: line(at, a, slopes[USED], 1), dash: "7 3" },
        { label: `central: ${show(slopes[CENTRAL])}`, points: [from, to], dash: "2 3" },
        ...touching,
      ],
      dots: [from, to].map(([x, y]) => ({ x, y, hollow: true })).concat({ x: at, y: a }),
      words: `Zero up to z = 0, then rising with slope 1. At z = ${show(at)} it is ${show(a)}; the slope used there is ` +
        `${show(slopes[USED])}, the line through the curve a nudge away on each side has slope ${show(slopes[CENTRAL])}.`,
    });
    const same = slopes[USED] === slopes[CENTRAL];
    const derivative = plot("derivative", "Its slope, and what a central difference makes of it", {
      x: axis,
      y: { low: -0.35, high: 1.5, ticks: ticks(0, 0.5, 1) },
      lines: [
        { label: "derivative", points: [[-EDGE, 0], [0, 0], [0, null], [0, 1], [EDGE, 1]], at: 4 },
        { label: "subgradients at 0", points: [[0, 0], [0, 0.7], [0, 1]], dash: "4 3", at: 1 },
        { label: "central difference", points: frame.ramp, dash: "2 3", at: 0 },
      ],
      dots: [
        { x: at, y: slopes[CENTRAL], hollow: true, label: same ? "" : show(slopes[CENTRAL]) },
        { x: at, y: slopes[USED], label: show(slopes[USED]) },
      ],
      words: `The derivative is 0 left of z = 0 and 1 right of it; at 0 every number from 0 to 1 is a subgradient. The central ` +
        `difference rises in a line from 0 at z = ${show(-get("step"))} to 1 at z = ${show(get("step"))}.`,
    });

    const table = grid("slopes", "Slopes at z, and times da", frame.slopes, {
      rows: ["slope", "times da"], columns: ["used", "left", "central", "right"],
    });
    const [z, da, , open, dz, nudged] = row;
    const called = ([r, c]) => `${["z", "da"][r]}(${c})`;
    const below = grid("row", "A row of numbers, each by itself", row, {
      rows: ["z", "da", "a = max(z, 0)", "gate: z > 0", "dz", "central"],
      size: [2, z.length], called,
      onEdit: ([r, c], value) => edit(["z", "da"][r])([0, c], value),
    });
    const said = new Set();
    const mark = (picture, cell, css, text, test) => {
      if (!test) return;
      picture.mark(cell, css);
      said.add(text);
    };
    const OFF = "Yellow: a difference that is not the slope used.";
    range(3).forEach((n) => mark(table, [0, n + 1], "cx-hit", OFF, slopes[n + 1] !== slopes[USED]));
    z.forEach((v, c) => {
      mark(below, [4, c], "cx-unread", "Hatched: a closed gate, nothing passes.", !open[c]);
      for (const r of [0, 4])
        mark(below, [r, c], "cx-padding", "Dashed: on the kink, where any number from 0 to da is a subgradient times da.", v === 0);
      mark(below, [5, c], "cx-hit", OFF, nudged[c] !== dz[c]);
    });
    legend.textContent = [...said, EDITABLE].join(" ");
    return { curve, derivative, slopes: table, row: below };
  }

  function point({ frame, get, status, formula }) {
    const { points, slopes: [slopes, gradients], row: [z, , , open], subgradients: [low, high] } = frame;
    const [[down, below], [at, a], [up, above]] = points;
    const [da, step] = [get("incoming"), get("step")];
    const ratio = (name, top, from, width, slope) => h("p", {},
      `${name}: (g(${show(top[0])}) − g(${show(from[0])})) ÷ ${show(width)} = (${show(top[1])} − ${show(from[1])}) ÷ ${show(width)} = ${show(slope)}`);
    formula.replaceChildren(
      h("p", {}, `dz = g′(z) × da = ${show(slopes[USED])} × ${factor(da)} = `, h("strong", {}, show(gradients[USED]))),
      ratio("Left", [at, a], [down, below], step, slopes[LEFT]),
      ratio("Central", [up, above], [down, below], 2 * step, slopes[CENTRAL]),
      ratio("Right", [up, above], [at, a], step, slopes[RIGHT]));

    const where = at > 0 ? "the gate is open" : at < 0 ? "the gate is closed" : "on the kink the slope used is 0";
    const nudge = low < high
      ? `Every slope from ${show(low)} to ${show(high)} is a subgradient, so dz could be any number from 0 to ${show(da)}. ` +
        `Left of the kink the slope is ${show(slopes[LEFT])}, right of it ${show(slopes[RIGHT])}; the central difference takes the mean, ${show(slopes[CENTRAL])}.`
      : Math.abs(at) < step
        ? `The nudge reaches over the kink: the central difference is ½ + z ÷ (2 × ${show(step)}) = ${show(slopes[CENTRAL])}, and the slope is ${show(slopes[USED])}.`
        : `The nudge stays on one side of the kink: all three differences are ${show(slopes[CENTRAL])}, the slope.`;
    const list = (test) => range(z.length).filter(test).join(", ");
    const [through, on] = [list((n) => open[n]), list((n) => z[n] === 0)];
    const row = through ? `In the row, gates are open at ${through}` : "In the row, no gate is open";
    say(status, `At z = ${show(at)} ${where}: dz = ${show(gradients[USED])}. ${nudge} ${row}${on && "; on the kink: "}${on}.`);
  }

  return explore(context, { draw, point });
}
