// What can be told of a page without looking at it. Each check returns a list of complaints.
globalThis.checks = {
  // Nothing is wider than the screen.
  width() {
    const page = document.scrollingElement;
    return page.scrollWidth > page.clientWidth ? [`the page is ${page.scrollWidth} px wide, the screen ${page.clientWidth}`] : [];
  },

  // Text has the contrast that WCAG 2.2 asks for: 4.5, or 3 if it is large.
  contrast() {
    const complaints = new Set();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest("option, meter, progress, style, title")) continue;
      const style = getComputedStyle(element);
      const color = element instanceof SVGElement ? style.fill : style.color;
      const size = parseFloat(style.fontSize);
      const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
      const ratio = contrast(rgb(color), background(element));
      if (ratio < least) complaints.add(`${texts.currentNode.data.trim().slice(0, 40)}: contrast ${ratio.toFixed(2)} of ${color}, want ${least}`);
    }
    return [...complaints];
  },

  // What one touches has 24 px each way, as WCAG 2.2 asks; links within text are exempt.
  targets() {
    return [...document.querySelectorAll("button, input:not([type=hidden]), select")]
      .filter((element) => element.checkVisibility())
      .map((element) => [element, element.getBoundingClientRect()])
      .filter(([, { width, height }]) => width < 24 || height < 24)
      .map(([element, { width, height }]) => `${element.outerHTML.slice(0, 60)} is ${width} x ${height} px`);
  },

  all() {
    return [...this.width(), ...this.contrast(), ...this.targets()];
  },
};

function rgb(color) {
  return color.match(/[\d.]+/g).map(Number);
}

function background(element) {
  for (let e = element; e; e = e.parentElement) {
    const color = rgb(getComputedStyle(e).backgroundColor);
    if (color.length === 3 || color[3] === 1) return color;
  }
  return [255, 255, 255];
}

function luminance(color) {
  const [r, g, b] = color.slice(0, 3).map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}
