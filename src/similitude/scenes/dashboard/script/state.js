// What is chosen; the address keeps it, so that a view can be passed on.

const PAGE = 48;
const STEPS = 200;

function fresh() {
  return {
    model: 0, outcomes: new Set(OUTCOMES.map(([name]) => name)),
    filters: factors.map((one) => (one.byValue ? new Set([...one.distinct, null]) : [0, STEPS])),
    across: 0, down: -1, measure: MEASURES[0][0], view: "summary", sort: SORTS[0][0], shown: PAGE, open: -1,
  };
}
let state = fresh();

function written() {
  const base = fresh(), out = new URLSearchParams();
  for (const key of ["model", "across", "down", "measure", "view", "sort", "open"]) {
    if (state[key] !== base[key]) out.set(key, state[key]);
  }
  if (state.outcomes.size < OUTCOMES.length) out.set("outcomes", [...state.outcomes].join(","));
  factors.forEach((one, k) => {
    const now = state.filters[k];
    if (!one.byValue) {
      if (now[0] > 0 || now[1] < STEPS) out.set(`f:${one.name}`, `${edge(one, now[0])}..${edge(one, now[1])}`);
    } else if (one.distinct.some((value) => !now.has(value))) {
      out.set(`f:${one.name}`, one.distinct.map((v, i) => (now.has(v) ? i : -1)).filter((i) => i >= 0).join(","));
    }
  });
  return out.toString();
}

function read() {
  state = fresh();
  const given = new URLSearchParams(location.hash.slice(1));
  const number = (key, least, most) => {
    const value = Number(given.get(key));
    if (given.has(key) && Number.isInteger(value) && value >= least && value <= most) state[key] = value;
  };
  number("model", 0, data.models.length - 1);
  number("across", 0, factors.length - 1);
  number("down", -1, factors.length - 1);
  number("open", -1, rows.length - 1);
  for (const [key, known] of [["measure", MEASURES], ["sort", SORTS], ["view", [["summary"], ["points"]]]]) {
    if (known.some(([name]) => name === given.get(key))) state[key] = given.get(key);
  }
  if (given.has("outcomes")) {
    const asked = given.get("outcomes").split(",");
    state.outcomes = new Set(OUTCOMES.map(([name]) => name).filter((name) => asked.includes(name)));
  }
  factors.forEach((one, k) => {
    const text = given.get(`f:${one.name}`);
    if (text === null) return;
    if (!one.byValue) {
      const ends = text.split("..").map(Number);
      if (ends.length === 2 && ends.every(Number.isFinite) && one.high > one.low) {
        const steps = ends.map((end) => STEPS * (end - one.low) / (one.high - one.low));
        const whole = [Math.floor(steps[0] + 1e-6), Math.ceil(steps[1] - 1e-6)];
        state.filters[k] = whole.map((step) => Math.min(STEPS, Math.max(0, step)));
      }
    } else {
      const places = text.split(",").filter((part) => part !== "").map(Number);
      state.filters[k] = new Set(places.filter((i) => i in one.distinct).map((i) => one.distinct[i]));
    }
  });
}

function edge(one, step) {
  return Number((one.low + (one.high - one.low) * step / STEPS).toPrecision(5));
}

function keep() {
  const text = written();
  try { history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search); } catch { /* some browsers refuse it for files */ }
}
