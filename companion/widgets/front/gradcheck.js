// The explorer of finite differences. A frame holds the derivative at `x` (`slope`), the `errors` of every
// method (columns) with every nudge (rows; null where there is no slope, 0 where it is exact), what is
// expected of them (`truncation` times a power of the nudge, `rounding` over the nudge), the nudges of the
// `rule` of thumb, and `n`, the row of the present nudge.

const [FIRST, COUNT] = [-13, 25];
const METHODS = ["forward", "central", "richardson", "complex"];
const NAMES = ["one-sided", "central", "Richardson", "complex step"];
const POWERS = [1, 2, 4, 2];
const FORMULAS = ["(f(x + ε) − f(x)) ÷ ε", "(f(x + ε) − f(x − ε)) ÷ 2ε", "(4 D(ε) − D(2ε)) ÷ 3, D central", "Im f(x + iε) ÷ ε"];
const RULES = ["√μ", "∛μ", "30 ∛μ", "10⁻¹⁵ ∛μ"];
/** Where an error of exactly 0 stands, which has no logarithm. */
const ZERO = -19;

const exponentOf = (n) => FIRST + n / 2;

/** What depends on the nudge: Python has stored the rest. */
const compute = ({ exponent }) => ({ n: 2 * (exponent - FIRST) });

function render(context) {
  /** "0.12", "1.2 × 10⁻⁵" */
  const times = (v) => {
    const [digits, exponent] = Math.abs(v).toExponential(1).split("e");
    return Math.abs(exponent) < 3 ? show(digits * 10 ** exponent) : `${digits} × ${power(Number(exponent))}`;
  };
  const noun = (m) => NAMES[m] + (METHODS[m] === "complex" ? "" : " difference");
  const minus = (text) => text.replace("-", "−");
  const log = (v) => (v ? Math.log10(Math.abs(v)) : null);
  const column = ({ errors }, m) => errors.map((row) => row[m]);

  /** gradcheck-truncation and rounding, as expected of a method with a nudge */
  const expected = ({ truncation, rounding }, m, n) => {
    const nudge = 10 ** exponentOf(n);
    return [truncation[m] * nudge ** POWERS[m], rounding[m] / nudge];
  };

  /** The row of the smallest error; of several the longest nudge. */
  const leastOf = (errors) => errors.reduce((best, v, n) =>
    v !== null && (best < 0 || Math.abs(v) <= Math.abs(errors[best])) ? n : best, -1);

  function draw({ frame, get, legend }) {
    const m = METHODS.indexOf(get("method"));
    const { n } = frame;
    const errors = column(frame, m);
    const least = leastOf(errors);
    const points = (k) => column(frame, k).map((v, n) => [exponentOf(n), log(v)]);
    const height = (n) => log(errors[n]) ?? ZERO;
    const guess = range(COUNT)
      .map((n) => [exponentOf(n), log(total(expected(frame, m, n)))])
      .filter(([, v]) => v !== null && v > ZERO && v < 2);
    const rule = Math.log10(frame.rule[m]);
    const others = range(4).filter((k) => k !== m);
    const zeros = range(COUNT).filter((n) => errors[n] === 0);
    /** Where a curve is farthest from the others: its name belongs to it there. */
    const apart = (k) => {
      const gaps = points(k).map(([, v], i) => v === null ? -1
        : Math.min(9, ...range(4).filter((j) => j !== k && points(j)[i][1] !== null).map((j) => Math.abs(v - points(j)[i][1]))));
      return gaps.indexOf(Math.max(...gaps));
    };
    const lines = [
      { label: NAMES[m], points: points(m), at: apart(m) },
      { label: "expected", points: guess, dash: "2 3", at: Math.min(6, guess.length - 1) },
      { label: "rule of thumb", points: rule < FIRST || rule > -1 ? [] : [[rule, ZERO], [rule, 0], [rule, 2]], dash: "9 3", thin: true },
      ...others.map((k, i) => ({ label: NAMES[k], points: points(k), at: apart(k), dash: ["6 4", "8 3 2 3", "2 4"][i], thin: true })),
    ];
    const dots = zeros.map((n) => ({ x: exponentOf(n), y: ZERO, hollow: true }));
    if (least !== n) dots.push({ x: exponentOf(least), y: height(least), label: "least", hollow: true });
    if (errors[n] !== null) dots.push({ x: exponentOf(n), y: height(n), label: errors[n] ? times(errors[n]) : "0" });
    const first = errors.findIndex((v) => v !== null);
    const curve = plot("error", `Error of the slope against the nudge, ${get("precision")}`, {
      x: { low: FIRST, high: -1, label: "nudge ε", ticks: range(5).map((k) => [FIRST + 3 * k, power(FIRST + 3 * k)]) },
      y: { low: ZERO - 1, high: 2, ticks: [[ZERO, "0"], ...[-16, -12, -8, -4, 0].map((v) => [v, power(v)])] },
      lines, dots, height: 270,
      words: `Both axes are logarithmic. The error of the ${noun(m)} is ${times(errors[first])} at a nudge of ` +
        `${power(exponentOf(first))}, at its least ${times(errors[least])} at ${power(exponentOf(least))}, and ` +
        `${errors[COUNT - 1] === null ? "missing" : times(errors[COUNT - 1])} at ${power(-1)}.`,
    });
    const said = ["Dot: the present nudge. Bold below: the digits that the error leaves right."];
    if (zeros.length) said.push(`Rings at the bottom: ${zeros.length} nudge${zeros.length > 1 ? "s" : ""} with an error of exactly 0, which has no logarithm.`);
    if (errors.includes(null)) said.push("Where the line is missing there is no slope.");
    legend.textContent = said.join(" ");
    return { error: curve };
  }

  /** Why there is no slope, or what it suffers from. */
  function explain(frame, m, get) {
    const { n, x } = frame;
    const errors = column(frame, m);
    const nudge = 10 ** exponentOf(n);
    const name = get("function");
    if (errors[n] === null)
      return errors.slice(0, n).some((v) => v !== null)
        ? "x − ε lies below 0, where there is no square root."
        : "x + ε is rounded to x, and the nudge is lost.";
    if (name === "abs" && METHODS[m] === "complex")
      return "It says 0, without a warning: the size of x + iε has no imaginary part. The complex step is for analytic functions.";
    if (name === "abs" && nudge > x && METHODS[m] !== "forward")
      return "The nudge reaches over the kink at 0, and mixes the slopes of both sides.";
    const [cut, rounded] = expected(frame, m, n);
    if (METHODS[m] === "complex")
      return `Nothing is subtracted, so no rounding error grows; truncation is about ${times(cut)}.`;
    const advice = cut > 3 * rounded ? "a shorter nudge is better" : rounded > 3 * cut ? "a longer nudge is better" : "the two are alike";
    return `Expected: truncation ${times(cut)}, rounding up to ${times(rounded)}; ${advice}.`;
  }

  function point({ frame, get, status, formula }) {
    const m = METHODS.indexOf(get("method"));
    const { n, x, slope, rule } = frame;
    const errors = column(frame, m);
    const least = leastOf(errors);
    const written = frame.errors[n].map((error, k) => {
      const line = (...parts) => h("p", {}, `${NAMES[k]}, ${FORMULAS[k]}: `, ...parts);
      if (error === null) return line("no slope");
      if (error === 0) return line(h("strong", {}, minus(String(slope))), ", exact");
      const right = Math.max(0, -1 - Math.floor(log(error)));
      const found = minus((slope + error).toFixed(right + 2));
      return line(h(Math.abs(error) < 1 ? "strong" : "span", {}, found.slice(0, -2)), found.slice(-2), `, off by ${times(error)}`);
    });
    formula.replaceChildren(h("p", {}, `f′(x) = ${slope}`), ...written);

    const off = errors[n] === null ? "no slope" : `the ${noun(m)} is ${errors[n] ? "off by " + times(errors[n]) : "exact"}`;
    say(status, `ε = ${power(exponentOf(n))} in ${get("precision")}: ${off}. ${explain(frame, m, get)} ` +
      `Least of all: ${times(errors[least])} at ${power(exponentOf(least))}. ` +
      `The rule of thumb, ${RULES[m]}${x > 1 ? " × x" : ""}, gives ${times(rule[m])}.`);
  }

  return explore(context, { draw, point });
}
