// A table of numbers as a picture: a grey square for each.

/**
 * `values` holds `maps` tables side by side. Black is the largest number in size; white is 0, or,
 * where a number is negative, minus the largest. With `onPoint` a square can be pointed at by mouse,
 * touch or arrow keys, and the picture is one tab stop.
 */
function pixels(name, caption, values, maps, onPoint) {
  const size = shape(values);
  // Between two maps a column is left free.
  const left = (c) => c + Math.floor((c * maps) / size[1]);
  const [height, width] = [size[0], size[1] + maps - 1];
  const numbers = values.flat();
  const most = Math.max(...numbers.map(Math.abs));
  const least = numbers.some((v) => v < 0) ? -most : 0;
  const label = `${caption}, ${show(least)} white, ${show(most)} black`;

  const canvas = h("canvas", { width, height, role: "img", "data-plot": name, "aria-label": label });
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  values.forEach((row, r) => row.forEach((v, c) => {
    const grey = 255 * (1 - (v - least) / (most - least || 1));
    image.data.set([grey, grey, grey, 255], 4 * (width * r + left(c)));
  }));
  context.putImageData(image, 0, 0);

  const box = h("div", {
    class: "cx-pixels", style: `width: ${width * Math.min(16, Math.floor(360 / width))}px`,
    ...(onPoint && { tabindex: 0, role: "application", "aria-label": `${caption}: arrow keys point`, ...OWN_KEYS }),
  }, canvas);
  let selected;
  const pointAt = (cell) => onPoint?.(clamp(cell, size));
  for (const type of ["pointermove", "click"])
    box.addEventListener(type, ({ offsetX, offsetY }) => {
      const c = Math.floor((offsetX / canvas.clientWidth) * width);
      pointAt([Math.floor((offsetY / canvas.clientHeight) * height), c - Math.floor((c * maps) / (width + 1))]);
    });
  box.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || event.altKey || event.metaKey) return;
    event.preventDefault();
    pointAt(step(selected, event.ctrlKey));
  });
  /** Frame a square, or rows and columns of them. */
  const mark = ([r, c], css, rows = 1, columns = 1) => {
    const [top, from, high, wide] = [r / height, left(c) / width, rows / height, columns / width].map((part) => `${100 * part}%`);
    box.append(h("span", { class: css, "data-at": [r, c], style: `top: ${top}; left: ${from}; height: ${high}; width: ${wide}` }));
  };
  return {
    node: h("div", { class: "cx-picture" }, h("div", { class: "cx-caption", "aria-hidden": "true" }, label), box),
    mark,
    clear: () => box.replaceChildren(canvas),
    select: (cell) => mark((selected = cell), "cx-at"),
  };
}
