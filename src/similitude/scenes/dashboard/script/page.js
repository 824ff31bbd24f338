// All together: what is said above, the view that is chosen, and what happens when something is.

function totals(some) {
  const all = rows.filter((row) => row.model === state.model);
  const parts = [`${some.length} of ${all.length} scenes`];
  for (const [name, text] of MEASURES) {
    if (name === "count") continue;
    const one = measured(some, name);
    if (one !== null) parts.push(`${text} ${shown(one, name)}`);
  }
  const failed = some.filter((row) => row.error).length;
  if (failed) parts.push(`${failed} without a result`);
  const unseen = some.filter((row) => row.outcome === "unseen").length;
  if (unseen) parts.push(`${unseen} in which nothing of the object is seen`);
  at("totals").textContent = `${parts.join(" · ")}`;
}

function aggregate(some) {
  const view = at("view");
  view.replaceChildren();
  if (!factors.length || !some.length) {
    view.append(el("p", { className: "muted", textContent: some.length ? "Nothing differs between these scenes." : "No scene is left. Loosen the filters." }));
    return;
  }
  const across = factors[state.across], down = state.down < 0 ? null : factors[state.down];
  if (state.view === "points") view.append(points(some, across, down));
  else if (down) view.append(heat(some, across, down));
  else view.append(marks(some, across));
}

function render() {
  controls.forEach((one) => one());
  const some = kept();
  totals(some);
  aggregate(some);
  grid(some);
  details();
}

function changed() { state.shown = PAGE; keep(); render(); }

filters();
if (factors.length) {
  const names = factors.map((one, k) => [k, one.name]);
  at("choices").append(
    choice("across", "across", names, "across", Number),
    choice("down", "down", [[-1, "nothing"], ...names], "down", Number),
    choice("measure", "show", MEASURES, "measure", String),
    choice("kind", "as", [["summary", "summary"], ["points", "every scene"]], "view", String));
}
at("sorting").append(choice("sort", "order", SORTS, "sort", String));
at("more").addEventListener("click", () => { state.shown += PAGE; grid(kept()); });
at("close").addEventListener("click", () => at("details").close());
at("before").addEventListener("click", () => step(-1));
at("after").addEventListener("click", () => step(1));
at("details").addEventListener("close", () => { state.open = -1; keep(); });
at("details").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
window.addEventListener("hashchange", () => { read(); render(); });
at("panel").open = !window.matchMedia("(max-width: 52rem)").matches;
at("explorer").hidden = false;
read();
render();
document.documentElement.dataset.ready = "yes";
