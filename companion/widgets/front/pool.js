// The pooling explorer. A frame holds the tables x (with padding, written as zeros), y, dy and dx;
// for a maximum `winner`, the place in the image, counted in row-major order, of the value that wins
// each window; for an average the divisors D; and `totals`, the sums of dy and of dx.

const sizeOf = ({ x, padding: p }) => shape(x).map((n) => n - 2 * p);
const entry = (name, { [name]: values, padding: p }, [r, c]) => (name === "x" ? values[r + p][c + p] : values[r][c]);

/** All places of window (i, j), and those of them that exist, in row-major order. */
const placesOf = ([i, j], { kernel_size: k, stride: s, padding: p }) =>
  table(k, k, (u, v) => [s * i + u - p, s * j + v - p]).flat();
const exists = (frame, place) => sizeOf(frame).every((n, axis) => place[axis] >= 0 && place[axis] < n);
const membersOf = (cell, frame) => placesOf(cell, frame).filter((place) => exists(frame, place));

/** Along one axis, the windows that hold an index: [row] and [column] of pool-avg-backward. */
const holdersAlong = (axis, at, { dy, kernel_size: k, stride: s, padding: p }) =>
  range(shape(dy)[axis]).filter((i) => range(k).includes(at + p - s * i));
const holdersOf = ([h, q], frame) =>
  holdersAlong(0, h, frame).flatMap((i) => holdersAlong(1, q, frame).map((j) => [i, j]));

/** A place in the image by its number in row-major order, and the number of a place. */
const placeOf = (n, frame) => [Math.floor(n / sizeOf(frame)[1]), n % sizeOf(frame)[1]];
const numberOf = ([h, q], frame) => h * sizeOf(frame)[1] + q;
const winnerOf = (cell, frame) => placeOf(entry("winner", frame, cell), frame);
const wins = (place, cell, frame) => entry("winner", frame, cell) === numberOf(place, frame);

/** The frame of settings that Python has not stored. */
function compute({ x, dy, kernel_size: k, stride, padding: p, pooling }) {
  const frame = { kernel_size: k, stride, padding: p, pooling };
  const [H, W] = shape(x);
  const there = [H + 2 * p, W + 2 * p];
  const [Ho, Wo] = there.map((n) => Math.floor((n - k) / stride) + 1);
  const axis = there.findIndex((n) => k > n);
  const misfit = (problem) => ({ ...frame, problem });
  if (2 * p > k)
    return misfit(`Padding ${p} is more than half of a window of ${k}: padding must be at most half the window.`);
  if (axis >= 0)
    return misfit(`These settings do not fit: the window covers ${k} ${["rows", "columns"][axis]}, and the padded image has ${there[axis]}.`);
  if (dy.length < Ho || dy[0].length < Wo)
    return misfit(`These settings give an output of shape (${Ho}, ${Wo}); dy is smaller.`);

  frame.x = table(...there, (r, c) => x[r - p]?.[c - p] ?? 0);
  frame.dy = table(Ho, Wo, (i, j) => dy[i][j]);
  const each = (make) => table(Ho, Wo, (i, j) => make([i, j], membersOf([i, j], frame)));
  const value = (place) => entry("x", frame, place);
  const incoming = (cell) => entry("dy", frame, cell);
  const gather = (term) => table(H, W, (h, q) => total(holdersOf([h, q], frame).map((cell) => term(cell, [h, q]))));
  if (pooling === "max") {
    // pool-max: the first of the largest
    frame.winner = each((_, members) =>
      numberOf(members.reduce((best, place) => (value(place) > value(best) ? place : best)), frame));
    frame.y = each((cell) => value(winnerOf(cell, frame)));
    // pool-max-backward
    frame.dx = gather((cell, place) => (wins(place, cell, frame) ? incoming(cell) : 0));
  } else {
    frame.D = each((_, members) => (pooling === "counted" ? k * k : members.length));
    // pool-avg
    frame.y = each((cell, members) => total(members.map(value)) / entry("D", frame, cell));
    // pool-avg-backward
    frame.dx = gather((cell) => incoming(cell) / entry("D", frame, cell));
  }
  return { ...frame, totals: [frame.dy, frame.dx].map((values) => total(values.flat())) };
}

function render(context) {
  const captions = { x: "Input x", y: "Output y", dy: "Incoming dy", dx: "Gradient dx", D: "Divisor D" };
  /** By mode: the tables, and which of them are pointed at. */
  const tables = {
    forward: [["x", "D", "y"], ["y"]],
    backward: [["x", "D", "dy", "dx"], ["dx", "x"]],
    route: [["x", "D", "dy", "dx"], ["dy"]],
  };
  const PADDING = {
    max: "Dashed: padding, −∞: it never wins.",
    average: "Dashed: padding, absent.",
    counted: "Dashed: padding, counted as 0.",
  };
  const LEGENDS = {
    forward: "max: the winner. tie: as large, but later.",
    backward: "won, lost: by the input pointed at. tie: lost to an equal value that comes first. max: a winner that it lost to.",
    route: "Marked in x and dx: every winner, and how many windows it wins.",
  };

  const count = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
  const called = (name, cell) => name + pair(cell);
  const listing = (name, cells) => {
    const [last, ...before] = cells.map((cell) => called(name, cell)).reverse();
    return before.length ? `${before.reverse().join(", ")} and ${last}` : last;
  };

  function draw({ frame, get, onPoint, edit, legend }) {
    const mode = get("mode");
    const { padding: p, pooling } = frame;
    const [names, targets] = tables[mode];
    const size = sizeOf(frame);
    const shown = Object.fromEntries(names.filter((name) => frame[name]).map((name) => {
      const own = name === "x" ? size : shape(frame[name]);
      return [name, grid(name, `${captions[name]}, ${own.join(" × ")}` + (name === "x" && p ? `, padding ${p}` : ""), frame[name], {
        origin: name === "x" ? -p : 0,
        size: own,
        onPoint: targets.includes(name) && onPoint,
        onEdit: ["x", "dy"].includes(name) && edit(name),
      })];
    }));
    const said = new Set();
    table(...shape(frame.x), (r, c) => {
      const place = [r - p, c - p];
      if (!exists(frame, place)) {
        const cell = shown.x.at(place);
        cell.classList.add("cx-padding");
        said.add(PADDING[pooling]);
        if (pooling !== "counted") cell.textContent = "";
        if (pooling === "max") cell.dataset.text = "−∞";
      } else if (!holdersOf(place, frame).length) {
        for (const name of ["x", "dx"]) shown[name]?.mark(place, "cx-unread");
        said.add("Hatched: in no window, so its gradient is 0.");
      }
    });
    if (pooling === "max") said.add(LEGENDS[mode]);
    legend.textContent = [...said, EDITABLE].join(" ");
    return shown;
  }

  /**
   * Lines of a formula: between `open` and `close` the terms as names, then with their numbers, then
   * the result. Each is led by "=" or "≈", as its own numbers are shown in full or not.
   */
  function writeTerms(formula, left, [open, joint, close], names, terms, numbers, result) {
    const lines = [[left + " =", names], [relation(numbers), terms]].map(([lead, texts]) => texts.flatMap((text, n) => [
      n ? " " : lead + " ",
      h("span", { class: "cx-term" }, (n ? "" : open) + text + (n < texts.length - 1 ? joint : close))]));
    const last = h("strong", {}, `${relation([result, ...numbers])} ${show(result)}`);
    formula.replaceChildren(...[...lines, [last]].map((parts) => h("p", {}, ...parts)));
  }

  /** Mark a window's places in a table, of the padding only what counts; the rest dashed. */
  function markWindow(picture, places, frame, letter) {
    for (const place of places) {
      const counts = exists(frame, place) || frame.pooling === "counted";
      picture.mark(place, counts ? "cx-hit" : "cx-near", counts && letter);
    }
  }

  /** An output: its window, and what is kept of it. */
  function forward(cell, frame, shown, formula) {
    const [places, members] = [placesOf(cell, frame), membersOf(cell, frame)];
    const [y, values] = [entry("y", frame, cell), members.map((place) => entry("x", frame, place))];
    const names = members.map((place) => called("x", place));
    const left = called("y", cell);
    const equals = relation([y, ...values]);
    const padding = places.length - members.length;
    const many = count(members.length, "value");
    const begin = `${left} ${equals} ${show(y)}. `;
    shown.y.select(cell);
    markWindow(shown.x, places, frame);
    if (frame.pooling === "max") {
      const tied = members.filter((_, m) => values[m] === y);
      const [winner] = tied;
      tied.forEach((place) => shown.x.mark(place, "cx-hit", place === winner ? "max" : "tie"));
      shown.x.select(winner);
      writeTerms(formula, left, ["max(", ",", ")"], names, values.map(show), values, y);
      return begin + (tied.length > 1
        ? `${listing("x", tied)} tie for the largest of ${many}; ${called("x", winner)} comes first in row-major order and wins.`
        : `${called("x", winner)} is the ${members.length > 1 ? "largest of " + many : "only value"}.`) +
        (padding ? ` The ${padding} places of padding, −∞, never win.` : "");
    }
    const D = entry("D", frame, cell);
    shown.D.select(cell);
    const [open, close] = members.length > 1 ? "()" : ["", ""];
    writeTerms(formula, left, [open, " +", `${close} / ${D}`], names, values.map(factor), values, y);
    const counted = frame.pooling === "counted" ? "count as 0" : "are absent";
    return begin + (padding
      ? `Its window holds ${many} and ${padding} places of padding, which ${counted}: the sum is divided by ${D}.`
      : `The sum of ${many}, divided by ${D}.`);
  }

  /** An input: the windows that hold it, and what comes back from each. */
  function backward(cell, frame, shown, formula) {
    const held = holdersOf(cell, frame);
    const left = called("dx", cell);
    const dx = entry("dx", frame, cell);
    const max = frame.pooling === "max";
    const won = held.filter((window) => max && wins(cell, window, frame));
    const tied = (window) => entry("x", frame, cell) === entry("y", frame, window);
    for (const name of ["x", "dx"]) shown[name].select(cell);
    const slopes = held.map((window) => (max ? Number(won.includes(window)) : entry("D", frame, window)));
    held.forEach((window, n) => {
      if (max) shown.dy.mark(window, slopes[n] ? "cx-hit" : "cx-near", slopes[n] ? "won" : tied(window) ? "tie" : "lost");
      else for (const name of ["dy", "D"]) shown[name].mark(window, "cx-hit", name === "dy" && `1/${slopes[n]}`);
    });
    const incoming = held.map((window) => entry("dy", frame, window));
    const equals = relation([dx, ...incoming]);
    if (held.length)
      writeTerms(formula, left, ["", " +", ""],
        held.map((window, n) => (max ? `${slopes[n]} × ${called("dy", window)}` : `${called("dy", window)} / ${called("D", window)}`)),
        held.map((_, n) => (max ? `${slopes[n]} × ${factor(incoming[n])}` : `${factor(incoming[n])} / ${slopes[n]}`)),
        incoming, dx);
    else writeSum(formula, left, [], dx);
    const begin = `${left} ${equals} ${show(dx)}. `;
    if (!held.length) return begin + `${called("x", cell)} lies in no window: its gradient is 0. ${whyUnread(cell, frame)}`;
    const many = `${called("x", cell)} lies in ${count(held.length, "window")}`;
    if (!max) return begin + `${many} and gets a share of each gradient.`;
    const one = held.length === 1;
    const lost = held.filter((window) => !won.includes(window));
    if (!lost.length) return begin + `${many} and wins ${one ? "it" : "them all"}.`;
    const rivals = [...new Set(lost.map((window) => entry("winner", frame, window)))].map((n) => placeOf(n, frame));
    rivals.forEach((place) => shown.x.mark(place, "cx-near", "max"));
    const ties = lost.filter(tied).length;
    return begin + `${many} and wins ${won.length || "none"}. ` +
      `${listing("x", rivals)} ${rivals.length > 1 ? "win" : "wins"} ${won.length ? "the rest" : one ? "it" : "them"}.` +
      (ties ? ` It ties in ${ties} of these, but comes later.` : "");
  }

  /** Why no window holds an input. */
  const whyUnread = (cell, frame) => cell.flatMap((at, axis) => {
    if (holdersAlong(axis, at, frame).length) return [];
    const { kernel_size: k, stride: s, padding: p, dy } = frame;
    const past = at >= s * (shape(dy)[axis] - 1) + k - p;
    return `${["Row", "Column"][axis]} ${at} lies ${past ? "past the last window" : "between the windows"}.`;
  }).join(" ");

  /** A gradient dy: where it goes. */
  function route(cell, frame, shown, formula) {
    const places = placesOf(cell, frame);
    const members = membersOf(cell, frame);
    const [dy, left] = [entry("dy", frame, cell), called("dy", cell)];
    const lines = [];
    let said;
    shown.dy.select(cell);
    if (frame.pooling === "max") {
      places.forEach((place) => shown.x.mark(place, "cx-near"));
      members.forEach((place) => shown.dx.mark(place, "cx-near"));
      const winners = frame.winner.flat();
      const timesWon = (n) => winners.filter((other) => other === n).length;
      for (const n of new Set(winners))
        for (const name of ["x", "dx"]) shown[name].mark(placeOf(n, frame), "cx-hit", `${timesWon(n)}×`);
      const winner = winnerOf(cell, frame);
      for (const name of ["x", "dx"]) shown[name].select(winner);
      const more = timesWon(numberOf(winner, frame)) - 1;
      lines.push(`To ${called("dx", winner)}: 1 × ${left} = 1 × ${factor(dy)}`);
      said = `All of it goes to ${called("x", winner)}, which wins this window` + (more ? ` and ${more} more.` : ".");
    } else {
      const D = entry("D", frame, cell);
      shown.D.select(cell);
      markWindow(shown.x, places, frame, `1/${D}`);
      markWindow(shown.dx, members, frame, `1/${D}`);
      lines.push(`To each: ${left} / ${called("D", cell)} = ${show(dy)} / ${D} ${relation([dy, dy / D])} ${show(dy / D)}`);
      said = `${count(members.length, "value")} ${members.length > 1 ? "each get" : "gets"} 1/${D} of it.`;
      if (D > members.length) said += ` The ${D - members.length} shares of the padding are dropped.`;
    }
    // pool-total
    const [before, after] = frame.totals;
    const dropped = frame.pooling === "counted" && frame.padding;
    // Up to rounding, which would show in one of them.
    const same = Math.abs(before - after) <= 1e-9 * Math.abs(before);
    lines.push(`All dy together: ${show(before)}. All dx together: ${show(same ? before : after)}.`);
    formula.replaceChildren(...lines.map((line) => h("p", {}, line)), h("p", {}, h("strong", {}, dropped ? "The difference went to the padding." : "Nothing is lost.")));
    return `${left} ${relation([dy])} ${show(dy)}. ${said}`;
  }

  function point({ frame, get, shown, status, formula }) {
    const mode = get("mode");
    const cell = clamp(get("cell"), shape(mode === "backward" ? frame.dx : frame.y));
    Object.values(shown).forEach((each) => each.clear());
    say(status, { forward, backward, route }[mode](cell, frame, shown, formula));
  }

  return explore(context, { draw, point });
}
