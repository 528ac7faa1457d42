// On paper all is black on white, whatever the screen shows.
const root = document.documentElement;
let shown;
addEventListener("beforeprint", () => {
  shown ??= root.dataset.theme;
  root.dataset.theme = "light";
});
addEventListener("afterprint", () => {
  root.dataset.theme = shown;
  shown = undefined;
});
// The theme opens files in a new tab; these are to be saved.
document.addEventListener("DOMContentLoaded", () => {
  for (const link of document.querySelectorAll("a.btn-download")) {
    link.download = "";
    link.removeAttribute("target");
  }
});
