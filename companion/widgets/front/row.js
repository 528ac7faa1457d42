// A slider for each number of a row, which can also be typed: the row alone holds the numbers.

MORE_CONTROLS.table = ({ name, label, low, high, step }, node, model) => {
  if (!step) return [];
  const entries = model.get(name).map((_, k) => {
    const slider = h("input", { type: "range", min: low, max: high, step, "data-name": name + k, ...OWN_KEYS });
    const value = h("span", { class: "cx-value", "aria-hidden": "true" });
    slider.addEventListener("input", () => put(model, name, model.get(name).with(k, Number(slider.value))));
    return { slider, value, labelled: h("label", {}, `${label}(${k}) `, slider, value) };
  });
  const place = h("div", { class: "cx-row" });
  node.append(place);
  return () => entries.forEach(({ slider, value, labelled }, k) => {
    const used = k < model.get("frame")[name].length;
    // Appending it again would take the focus from it.
    if (!used) labelled.remove();
    else if (!labelled.parentNode) place.append(labelled);
    slider.value = model.get(name)[k];
    value.textContent = show(model.get(name)[k]);
    slider.setAttribute("aria-valuetext", value.textContent);
  });
};
