// While a page is read, fetch those fonts of formulas that only the next one needs.
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  for (const font of document.fonts) if (/MJX(TEX(-(A|B|MI|SS|S[1-4]))?|ZERO)\b(?!-)/.test(font.family)) font.load();
});
