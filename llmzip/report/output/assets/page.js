"use strict";
// The figures of all tokens lie in typed arrays; elements carry none: a token's number is that of its section's first
// token plus its place among the section's <i> elements.
(function () {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const column = (id, wide) => {
    const text = atob(document.getElementById(id).textContent.trim());
    const bytes = new Uint8Array(text.length);
    for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
    return wide ? new Uint32Array(bytes.buffer) : new Uint16Array(bytes.buffer);
  };
  const bits = column("bits"), ranks = column("ranks", facts.wide);
  const coded = facts.coded ? column("coded") : null;
  const likely = column("likely", facts.wide), chances = column("chances");
  const main = document.querySelector("main"), tip = document.getElementById("tip");

  const numbered = (element) => {
    const section = element.parentNode;
    return Number(section.dataset.first) + Array.prototype.indexOf.call(section.getElementsByTagName("i"), element);
  };
  const add = (parent, name, text) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    parent.appendChild(made);
    return made;
  };
  const percent = (p) => p >= 0.0995 ? (100 * p).toFixed(0) + " %" : p >= 0.0001 ? (100 * p).toPrecision(2) + " %" : p.toExponential(1);
  const shown = (text) => text.replace(/\n/g, "\u21b5").replace(/\t/g, "\u21e5").replace(/ /g, "\u00b7");

  const fill = (last) => {
    // Tokens that end inside a character have empty elements before the one that shows it.
    let first = last;
    for (let e = at.previousElementSibling; e && e.tagName === "I" && e.textContent === ""; e = e.previousElementSibling) first--;
    tip.textContent = "";
    add(tip, "b", shown(at.textContent));
    if (first < last) add(tip, "div", (last - first + 1) + " tokens make up this character; figures of the last:");
    const cost = bits[last] / 256;
    add(tip, "div", "probability " + percent(Math.pow(2, -cost)) + ", rank " + ranks[last]);
    add(tip, "div", cost.toFixed(2) + " bits" + (coded ? ", as coded " + (coded[last] / 256).toFixed(2) : "") +
      ", token " + (last + 1));
    const table = add(tip, "table");
    for (let k = 0; k < facts.alternatives; k++) {
      const row = add(table, "tr");
      if (ranks[last] === k) row.className = "own";
      add(row, "td", shown(facts.pieces[likely[last * facts.alternatives + k]]));
      add(row, "td", percent(chances[last * facts.alternatives + k] / 65535));
    }
  };
  let at = null;
  const leave = () => {
    if (at) at.classList.remove("at");
    at = null;
    tip.hidden = true;
  };
  const show = (event) => {
    const element = event.target.closest("main i");
    if (!element) return leave();
    if (element !== at) {
      leave();
      at = element;
      at.classList.add("at");
      fill(numbered(element));
      tip.hidden = false;
    }
    const width = document.documentElement.clientWidth, height = document.documentElement.clientHeight;
    const left = Math.min(event.clientX + 14, width - tip.offsetWidth - 8);
    const below = event.clientY + 18;
    tip.style.left = Math.max(8, left) + "px";
    tip.style.top = (below + tip.offsetHeight < height ? below : Math.max(8, event.clientY - tip.offsetHeight - 12)) + "px";
  };
  main.addEventListener("mousemove", show);
  main.addEventListener("click", show);
  main.addEventListener("mouseleave", leave);
  window.addEventListener("scroll", leave, { passive: true });

  const choice = document.getElementById("shade");
  if (choice) choice.addEventListener("change", () => {
    const values = choice.value === "coded" ? coded : bits;
    const level = (v) => { let k = 0; while (k < facts.levels.length && v >= 256 * facts.levels[k]) k++; return k; };
    for (const section of main.children) {
      let number = Number(section.dataset.first);
      for (const element of section.getElementsByTagName("i")) {
        const k = level(values[number++]);
        element.className = (k ? "abcdefghi"[k - 1] : "") + (element.classList.contains("n") ? " n" : "");
      }
    }
  });
})();
