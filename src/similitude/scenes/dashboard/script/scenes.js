// Scenes: their pictures, and one with all that is known of it.

function picture(row, large) {
  if (row.image === null) return el("span", { className: large ? "nothing large" : "nothing", textContent: row.error ? "no picture" : "picture left out" });
  return el("img", { src: data.images[row.image], alt: large ? about(row) : "", width: 128, height: 128, loading: "lazy", decoding: "async" });
}

const SIGNS = { right: "✓", wrong: "✗", scored: "", unseen: "–", failed: "!" };

function grid(some) {
  const list = at("grid"), sorted = ordered(some), now = sorted.slice(0, state.shown);
  list.replaceChildren(...now.map((row) => el("li", {}, el("button", {
    type: "button", className: `shot ${row.outcome}`, ariaLabel: about(row), onclick: () => open(row.index),
  }, picture(row, false), el("span", { className: "said", textContent: `${SIGNS[row.outcome]} ${row.error ? "no result" : answer(row)}` }),
  el("span", { className: "muted", textContent: row.loss === null ? "" : `loss ${short(row.loss)}` })))));
  const without = sorted.filter((row) => row.image === null).length;
  at("shown").textContent = `${now.length} of ${sorted.length} scenes are shown`
    + (without ? `; ${without} of them have no picture on this page.` : ".");
  at("more").hidden = now.length >= sorted.length;
}

function open(index) {
  state.open = index;
  keep();
  details();
}

function step(by) {
  const sorted = ordered(kept()), place = sorted.findIndex((row) => row.index === state.open);
  const next = sorted[(place + by + sorted.length) % sorted.length];
  if (next) open(next.index);
}

function details() {
  const dialog = at("details");
  if (state.open < 0) { if (dialog.open) dialog.close(); return; }
  const row = rows[state.open], list = el("dl", { className: "settings" });
  const add = (name, value) => { if (value !== null && value !== "") list.append(el("dt", { textContent: name }), el("dd", { textContent: value })); };
  add("model", data.models[row.model]);
  if (row.error) add("why there is no result", row.error); else if (row.said !== null || row.outcome !== "scored") add("answer", `${SIGNS[row.outcome]} ${answer(row)}`);
  if (row.right === null) add("score", row.score === null ? "" : short(row.score));
  for (const name of ["loss", "probability", "confidence", "margin", "visible"]) if (row[name] !== null) add(name, short(row[name]));
  factors.forEach((one) => add(one.name, one.label(one.values[row.index])));
  Object.entries(data.fixed).forEach(([name, value]) => add(name, value));
  if (row.seconds !== null) add("seconds", short(row.seconds));
  for (const other of rows) {
    if (other.item === row.item && other.index !== row.index) add(data.models[other.model] + (other.said === null ? "" : " says"), other.error || `${SIGNS[other.outcome]} ${answer(other)}`);
  }
  at("scene").replaceChildren(picture(row, true), list);
  at("heading").textContent = `Scene ${row.item + 1}`;
  if (!dialog.open) dialog.showModal();
}
