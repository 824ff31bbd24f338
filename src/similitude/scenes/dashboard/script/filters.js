// Filters: boxes for values, sliders for ranges.

function filters() {
  const panel = at("filters");
  if (data.models.length > 1) panel.append(choice("model", "Model", data.models.map((name, k) => [k, name]), "model", Number));
  panel.append(boxes("Outcome", OUTCOMES.map(([name]) => name), OUTCOMES.map(([, text]) => text), () => state.outcomes));
  factors.forEach((one, k) => {
    if (one.byValue) {
      const values = one.values.includes(null) ? [...one.distinct, null] : one.distinct;
      panel.append(boxes(one.name, values, values.map(one.label), () => state.filters[k]));
    } else panel.append(slider(one, k));
  });
  panel.append(el("button", { id: "reset", type: "button", textContent: "Show everything", onclick: () => {
    const { across, down, measure, view, sort, model } = state;
    state = { ...fresh(), across, down, measure, view, sort, model };
    changed();
  } }));
}

function boxes(title, values, texts, chosen) {
  const list = el("div", { className: "boxes" });
  values.forEach((value, i) => {
    const box = el("input", { type: "checkbox", onchange: () => {
      if (box.checked) chosen().add(value); else chosen().delete(value);
      changed();
    } });
    controls.push(() => { box.checked = chosen().has(value); });
    list.append(el("label", {}, box, el("span", { textContent: texts[i] })));
  });
  const parts = [el("legend", { textContent: title })];
  if (values.length > 3) {
    const all = (every) => () => { chosen().clear(); if (every) values.forEach((v) => chosen().add(v)); changed(); };
    parts.push(el("div", { className: "quick" },
      el("button", { type: "button", textContent: "all", ariaLabel: `${title}: all`, onclick: all(true) }),
      el("button", { type: "button", textContent: "none", ariaLabel: `${title}: none`, onclick: all(false) })));
  }
  return el("fieldset", {}, ...parts, list);
}

function slider(one, k) {
  const said = el("output", {});
  const ends = ["least", "greatest"].map((which, side) => {
    const input = el("input", { type: "range", min: 0, max: STEPS, step: 1, ariaLabel: `${one.name}, ${which}`, oninput: () => {
      const now = [...state.filters[k]];
      now[side] = side ? Math.max(Number(input.value), now[0]) : Math.min(Number(input.value), now[1]);
      state.filters[k] = now;
      changed();
    } });
    controls.push(() => {
      input.value = state.filters[k][side];
      input.setAttribute("aria-valuetext", short(edge(one, state.filters[k][side])));
    });
    return input;
  });
  controls.push(() => { said.textContent = state.filters[k].map((step) => short(edge(one, step))).join(" to "); });
  return el("fieldset", {}, el("legend", { textContent: one.name }), said, ...ends);
}
