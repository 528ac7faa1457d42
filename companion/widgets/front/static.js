// The host of static pages: the model of a live widget, over frames that Python stored.
for (const el of document.querySelectorAll(`[data-explorer="${KIND}"]:not([data-ready])`)) {
  el.dataset.ready = "";
  const { settings, label, controls, parts } = JSON.parse(el.querySelector("script").textContent);
  const initial = { ...settings };
  const typed = controls.filter(({ type }) => type === "table");
  const listeners = {};
  const changed = new Set();
  const fire = (name) => (listeners[`change:${name}`] ?? []).forEach((listener) => listener());

  /** What the package computed, where no value was typed over; the page computes the rest. */
  function makeFrame() {
    const untouched = typed.every(({ name }) => settings[name] === initial[name]);
    const stored = untouched ? parts.map(lookUp) : [];
    return Object.assign(typeof compute === "undefined" ? {} : compute(settings), ...stored);
  }

  /** The entry of a part for the present settings; Python packs tables of small whole numbers. */
  function lookUp({ by, of }) {
    const places = by.map(([name, values]) => values.indexOf(settings[name]));
    if (places.includes(-1)) return {};
    const n = by.reduce((n, [, values], i) => n * values.length + places[i], 0);
    const entries = Object.entries(of).map(([name, tables]) => [name, tables.split ? unpack(tables.split("!")[n]) : tables[n]]);
    return Object.fromEntries(entries.filter(([, values]) => values));
  }
  const unpack = (text) => text && text.split(" ").map((row) => [...row].map((letter) => letter.charCodeAt() - 80));
  let frame;
  const model = {
    get: (name) => ({ label, controls, get frame() { return (frame ??= makeFrame()); } })[name] ?? settings[name],
    set(name, value) {
      settings[name] = value;
      changed.add(name);
    },
    save_changes() {
      const moved = controls.filter(({ name }) => changed.has(name));
      changed.clear();
      const counts = ({ type, view }) => type !== "cell" && !view;
      const renew = moved.some(counts);
      if (renew) frame = undefined;
      // What only draws would do so twice, and point into pictures of the last frame.
      moved.filter((each) => !renew || counts(each)).forEach(({ name }) => fire(name));
      if (renew) fire("frame");
      if (moved.length) share();
    },
    on: (event, listener) => (listeners[event] ??= []).push(listener),
    off: (event, listener) => (listeners[event] = listeners[event].filter((l) => l !== listener)),
  };
  // For scripts: el.model.set("stride", 2); el.model.save_changes(); el.model.get("frame").
  el.model = model;

  // The state in the page's address: #conv-explorer:kernel_size=3,mode=backward,cell=1-2; a table
  // that was typed into as x=1;2;3/4;5;6.
  const before = document.querySelectorAll(`[data-explorer="${KIND}"][data-ready]`).length - 1;
  const name = `${KIND}-explorer${before ? `-${before + 1}` : ""}`;
  const link = h("a", { class: "cx-link" }, "Link to this view");
  const rowsOf = (values) => (values[0].map ? values : [values]);
  const write = {
    cell: (cell) => cell.join("-"),
    table: (values) => rowsOf(values).map((row) => row.join(";")).join("/"),
  };
  const share = () => {
    const items = controls
      .filter(({ type, name }) => type !== "table" || settings[name] !== initial[name])
      .map(({ type, name }) => `${name}=${write[type]?.(settings[name]) ?? settings[name]}`);
    link.href = `#${name}:${items}`;
  };
  /** The value that a text stands for; undefined if it is none of the control's. */
  const read = {
    choice: (text, { options }) => options.find(([option]) => option === text)?.[0],
    cell: (text) => (/^\d+-\d+$/.test(text) ? text.split("-").map(Number) : undefined),
    slider: (text, { low, high, step }) => text === "" ? undefined : read.number(Number((Math.round(text / step) * step).toFixed(9)), { low, high }),
    number: (text, { low, high }) => (text !== "" && text >= low && text <= high ? Number(text) : undefined),
    table(text, { name }) {
      const rows = text.split("/").map((row) => row.split(";").map((v) => read.number(v, { low: -1e9, high: 1e9 })));
      const wanted = rowsOf(initial[name]);
      const whole = rows.length === wanted.length &&
        rows.every((row, r) => row.length === wanted[r].length && !row.includes(undefined));
      return whole ? (initial[name][0].map ? rows : rows[0]) : undefined;
    },
  };
  function follow() {
    let hash = location.hash;
    // Mail programs encode it; a lone % is none of their doing.
    try {
      hash = decodeURIComponent(hash);
    } catch {}
    const [, text] = hash.split(`#${name}:`);
    if (text === undefined) return false;
    const wanted = Object.fromEntries(text.split(",").map((item) => item.split("=")));
    for (const control of controls) {
      const value = control.name in wanted ? read[control.type](wanted[control.name] ?? "", control) : undefined;
      if (value !== undefined) model.set(control.name, value);
      else if (control.type === "table") model.set(control.name, initial[control.name]);
    }
    model.save_changes();
    return true;
  }

  el.querySelector(".cx-fallback").remove();
  const linked = follow();
  render({ model, el });
  // JupyterLab's address is its own.
  if (!document.body.dataset.jpThemeName) el.append(link);
  share();
  if (linked) el.scrollIntoView();
  addEventListener("hashchange", follow);
}
