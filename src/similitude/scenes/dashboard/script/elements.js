// Elements of pages and of drawings, and controls that follow the state.

const SVG = "http://www.w3.org/2000/svg";

function el(name, set = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(set)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && key !== "list") node[key] = value;
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

function draw(name, set, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(set)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function choice(id, label, options, key, cast) {
  const select = el("select", { id, onchange: () => { state[key] = cast(select.value); changed(); } });
  for (const [value, text] of options) select.append(el("option", { value, textContent: text }));
  controls.push(() => { select.value = String(state[key]); });
  return el("label", { className: "choice" }, el("span", { textContent: label }), select);
}

const controls = []; // each brings one control in line with the state
