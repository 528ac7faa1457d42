// A field for a number that the reader types.

MORE_CONTROLS.number = ({ name, label, low, high }, node, model) => {
  const field = h("input", { type: "number", min: low, max: high, step: "any", required: "", "data-name": name, ...OWN_KEYS });
  field.addEventListener("input", () => {
    const good = field.checkValidity();
    field.setAttribute("aria-invalid", !good);
    if (good) put(model, name, Number(field.value));
  });
  field.addEventListener("change", () => field.reportValidity());
  node.append(h("label", {}, label + " ", field));
  return () => {
    if (field !== document.activeElement || Number(field.value) !== model.get(name)) field.value = model.get(name);
  };
};
