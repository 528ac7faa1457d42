// The host of static pages: the model of a live widget, over frames that Python stored.
for (const el of document.querySelectorAll(`.cx-static[data-explorer="${KIND}"]:not([data-ready])`)) {
  el.dataset.ready = "";
  const state = JSON.parse(el.querySelector("script").textContent);
  const listeners = {};
  const changed = new Set();
  const fire = (name) => (listeners[`change:${name}`] ?? []).forEach((listener) => listener());
  const makesFrame = (name) => state.parts.some(({ by }) => by.includes(name));
  const frame = () =>
    Object.assign({ ...state }, ...state.parts.map(({ by, of }) => of[by.map((name) => state[name])]));
  const model = {
    get: (name) => (name === "frame" ? frame() : state[name]),
    set(name, value) {
      state[name] = value;
      changed.add(name);
    },
    save_changes() {
      const names = [...changed];
      changed.clear();
      names.forEach(fire);
      if (names.some(makesFrame)) fire("frame");
      names.length && share();
    },
    on: (event, listener) => (listeners[event] ??= []).push(listener),
    off: (event, listener) => (listeners[event] = listeners[event].filter((l) => l !== listener)),
  };

  // The state in the page's address: #conv-explorer:kernel_size=3,mode=backward,cell=1-2
  const before = document.querySelectorAll(`.cx-static[data-explorer="${KIND}"][data-ready]`).length - 1;
  const name = `${KIND}-explorer${before ? `-${before + 1}` : ""}`;
  const link = h("a", { class: "cx-link" }, "Link to this view");
  const share = () => {
    const values = state.controls.map((control) => `${control.name}=${state[control.name]}`);
    link.href = `#${name}:${[...values, `cell=${state.cell.join("-")}`]}`;
  };
  function follow() {
    const [, text] = location.hash.split(`#${name}:`);
    if (text === undefined) return false;
    const wanted = Object.fromEntries(text.split(",").map((item) => item.split("=")));
    for (const { name, low, high, options } of state.controls) {
      const value = wanted[name];
      const number = Number(value);
      if (options?.some(([option]) => option === value)) model.set(name, value);
      else if (Number.isInteger(number) && number >= low && number <= high) model.set(name, number);
    }
    if (/^\d+-\d+$/.test(wanted.cell)) model.set("cell", wanted.cell.split("-").map(Number));
    model.save_changes();
    return true;
  }

  el.querySelector(".cx-fallback").remove();
  const linked = follow();
  render({ model, el });
  if (state.note) el.append(h("p", { class: "cx-legend" }, state.note));
  if (!("jpThemeName" in document.body.dataset)) el.append(link); // JupyterLab's address is its own
  share();
  if (linked) el.scrollIntoView();
  addEventListener("hashchange", follow);
}
