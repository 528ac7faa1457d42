// What an axe audit reports in the theme's own frame, and what this book's pages add to it.
document.addEventListener("DOMContentLoaded", () => {
  // The visible text of this button is its name.
  for (const button of document.querySelectorAll(".search-button-field")) {
    button.removeAttribute("aria-label");
    button.querySelectorAll("i, kbd, .search-button__kbd-shortcut").forEach((part) => part.setAttribute("aria-hidden", "true"));
  }
  // On a phone both sidebars are dialogs. A section chosen in one should be seen.
  for (const which of ["primary", "secondary"]) {
    const dialog = document.getElementById(`pst-${which}-sidebar-modal`);
    dialog?.addEventListener("click", ({ target }) => target.closest("a[href*='#']") && dialog.close());
    // The theme gives the focus back before it moves what the dialog held.
    dialog?.addEventListener("close", () => setTimeout(() => document.querySelector(`.${which}-toggle`).focus()));
  }
  // The theme takes the focus from this button; a key, which counts no clicks, should find it again.
  for (const button of document.querySelectorAll(".theme-switch-button"))
    button.addEventListener("click", ({ detail }) => detail || setTimeout(() => button.focus()));
  const sidebar = document.getElementById("pst-primary-sidebar");
  sidebar?.setAttribute("role", "navigation");
  sidebar?.setAttribute("aria-label", "Book");
  // docutils gives the entries of a bibliography a role that a list may not hold.
  for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.setAttribute("role", "listitem");
  // Output in columns must not wrap, as other output does (book.css).
  for (const pre of document.querySelectorAll("div.cell_output pre"))
    pre.classList.toggle("columns", /\S {2,}\S|^ *\[\[/m.test(pre.textContent));
  // The empty corner of a table heads nothing.
  for (const corner of document.querySelectorAll("th")) if (!corner.textContent.trim()) corner.setAttribute("role", "cell");
});

// A formula wider than the page scrolls in its own box: the keyboard must reach that box.
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  const marks = [["tabindex", "0"], ["role", "group"], ["aria-label", "Wide formula"]];
  const sides = ({ scrollLeft, scrollWidth, clientWidth }) => [scrollLeft > 1, scrollLeft + clientWidth < scrollWidth - 1];
  const shade = (box, [before, after]) => {
    box.classList.toggle("more-before", before);
    box.classList.toggle("more-after", after);
  };
  const watch = new ResizeObserver((seen) => {
    // First all are measured, then some changed: else each would be laid out anew.
    const boxes = seen.map(({ target }) => [target, target.scrollWidth > target.clientWidth + 1, sides(target)]);
    for (const [box, wide, more] of boxes) {
      if (wide || box.classList.contains("wide")) shade(box, more);
      if (wide === box.classList.contains("wide")) continue;
      box.classList.toggle("wide", wide);
      box.onscroll = wide ? () => shade(box, sides(box)) : null;
      for (const [key, value] of marks) wide ? box.setAttribute(key, value) : box.removeAttribute(key);
    }
  });
  document.querySelectorAll("div.math mjx-container, span.math").forEach((box) => watch.observe(box));
  // The arrow that opens a part of the table of contents has an icon for its only content.
  for (const arrow of document.querySelectorAll(".bd-links summary"))
    arrow.setAttribute("aria-label", `Pages of: ${arrow.closest("li").querySelector("a").textContent.trim()}`);
});

// All that is found on one page has its title: what each leads to tells them apart.
document.addEventListener("DOMContentLoaded", () => {
  const results = document.getElementById("search-results");
  const tell = () => {
    for (const link of results.querySelectorAll("li > a:not([data-told])")) {
      link.dataset.told = "";
      const [, kind, name] = /^#(equation|term)-(.*)/.exec(decodeURIComponent(new URL(link.href).hash)) ?? [];
      const module = /\/api\/(?!index)(\w+)\.html/.exec(link.href)?.[1];
      if (kind) link.append(`: ${kind} ${name}`);
      else if (module && !link.textContent.includes("companion")) link.append(` (companion.${module})`);
    }
  };
  if (results) new MutationObserver(tell).observe(results, { childList: true, subtree: true });
});
