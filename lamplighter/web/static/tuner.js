// Sliders beside the fields, what they would find drawn while they are dragged, marks on the line, zones on the picture.
// Every field works without this: Apply asks the server for the same picture.
const form = document.getElementById("trial");
const by = id => document.getElementById(id);
const svg = (name, facts) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(facts)) made.setAttribute(key, value);
  return made;
};

// What is tried is asked for once at a time: while one answer is on its way, the latest value waits.
let asking = false, waiting = false;
async function ask() {
  if (asking) { waiting = true; return; }
  asking = true;
  try {
    const response = await fetch(form.dataset.try, {method: "POST", body: new URLSearchParams(new FormData(form))});
    show(await response.json(), response.ok);
  } catch (error) {
    by("told").textContent = error.message;
  }
  asking = false;
  if (waiting) { waiting = false; ask(); }
}

function show(answer, ok) {
  for (const field of form.querySelectorAll("[name]")) field.removeAttribute("aria-invalid");
  if (!ok) {
    for (const name of Object.keys(answer.errors || {})) if (name && by(name)) by(name).setAttribute("aria-invalid", "true");
    by("told").textContent = answer.errors ? Object.entries(answer.errors).map(one => one.join(" ")).join(" ") : answer.error;
    return;
  }
  const number = value => value === null ? "–" : value.toLocaleString(document.documentElement.lang);
  by("tried").setAttribute("d", answer.path);
  by("threshold").setAttribute("y1", answer.level);
  by("threshold").setAttribute("y2", answer.level);
  by("count").textContent = number(answer.count);
  by("minutes").textContent = number(Math.round(answer.seconds / 6) / 10);
  if (answer.score) {
    const told = by("score").querySelectorAll("b");
    if (told.length) [answer.score.precision, answer.score.recall].forEach((share, at) => told[at].textContent = number(share));
  }
  by("told").textContent = answer.kept.map(one => `${one}.`).join(" ");
  by("told").dataset.ms = answer.ms;
  by("toml").textContent = answer.toml || by("toml").dataset.none;
  by("rows").replaceChildren(...answer.rows.map(([start, seconds]) => {
    const row = document.createElement("tr");
    for (const text of [start, number(seconds)]) row.append(Object.assign(document.createElement("td"), {textContent: text}));
    row.lastChild.className = "n";
    return row;
  }));
}

const amount = text => parseFloat(text) * ({hour: 24, week: 1 / 7, month: 1 / 30}[text.split("/")[1]] || 1);
for (const field of form.querySelectorAll("[data-steps]")) {
  field.addEventListener("input", ask);
  const steps = field.dataset.steps.split(" ").filter(Boolean);
  if (!steps.length) continue;
  const range = Object.assign(document.createElement("input"), {type: "range", min: 0, max: steps.length - 1, step: 1});
  range.setAttribute("aria-label", field.name);
  const place = () => {
    const wanted = amount(field.value);
    range.value = steps.reduce((best, step, at) => Math.abs(amount(step) - wanted) < Math.abs(amount(steps[best]) - wanted) ? at : best, 0);
    range.setAttribute("aria-valuetext", field.value);
  };
  range.addEventListener("input", () => {
    field.value = steps[range.value];
    range.setAttribute("aria-valuetext", field.value);
    ask();
  });
  field.addEventListener("input", place);
  field.insertAdjacentElement("afterend", range);
  place();
}

// The line: a drag chooses a time for a label, a click where to play from.
const line = by("line");
if (line) {
  const parts = JSON.parse(line.dataset.parts);
  const at = x => {
    for (const [start, end, left, right] of parts) {
      if (x < left) return start;
      if (x <= right) return start + (end - start) * (x - left) / (right - left);
    }
    return parts[parts.length - 1][1];
  };
  const here = event => {
    const box = line.getBoundingClientRect();
    return Math.min(1000, Math.max(0, 1000 * (event.clientX - box.left) / box.width));
  };
  const iso = ms => new Date(Math.round(ms / 100) * 100).toISOString();
  let from = null;
  line.addEventListener("pointerdown", event => { from = here(event); line.setPointerCapture(event.pointerId); });
  line.addEventListener("pointermove", event => {
    if (from === null) return;
    const to = here(event);
    by("chosen").setAttribute("x", Math.min(from, to));
    by("chosen").setAttribute("width", Math.abs(to - from));
  });
  line.addEventListener("pointerup", event => {
    const to = here(event), [low, high] = [Math.min(from, to), Math.max(from, to)];
    from = null;
    by("play").value = iso(at(low));
    for (const end of ["x1", "x2"]) by("head").setAttribute(end, low);
    if (high - low < 2) return;
    by("from").value = iso(at(low));
    by("to").value = iso(at(high));
  });

  by("player").addEventListener("click", async event => {
    event.preventDefault();
    const response = await fetch(`${form.dataset.at}?t=${encodeURIComponent(by("play").value)}`);
    const screen = by("screen");
    if (!response.ok) { by("play").setAttribute("aria-invalid", "true"); return; }
    by("play").removeAttribute("aria-invalid");
    const found = await response.json();
    const video = Object.assign(document.createElement("video"), {controls: true, autoplay: true, muted: true, src: found.film});
    const why = Object.assign(document.createElement("a"), {href: `/operator/clips/${found.clip}/why`, textContent: screen.dataset.why});
    screen.replaceChildren(video, why);
    video.focus();
  });
}

// Zones are drawn on the picture and written into the fields, which is where they are sent from.
const picture = by("picture");
if (picture) {
  const zones = by("zones"), corners = by("corners"), pen = by("pen");
  let kind = "", points = [];
  by("pens").hidden = false;
  const lines = name => by(name).value.split("\n").filter(text => text.trim());
  const redraw = () => zones.replaceChildren(...["watch", "ignore"].flatMap(name =>
    lines(name).map(text => svg("polygon", {class: `zone ${name}`, points: text}))));
  const sketch = () => {
    corners.replaceChildren(svg("polyline", {class: `zone ${kind} open`, points: points.map(one => one.join(",")).join(" ")}));
    pen.textContent = kind ? pen.dataset.drawing : "";
  };
  const close = () => {
    if (points.length >= 3) {
      by(kind).value = [...lines(kind), points.map(one => one.join(",")).join(" ")].join("\n");
      redraw();
      ask();
    }
    kind = ""; points = [];
    picture.classList.remove("drawing");
    sketch();
  };
  for (const button of document.querySelectorAll("[data-draw]")) button.addEventListener("click", () => {
    if (button.dataset.draw === "undo") {
      const name = lines("ignore").length ? "ignore" : "watch";
      by(name).value = lines(name).slice(0, -1).join("\n");
      redraw();
      ask();
      return;
    }
    kind = button.dataset.draw; points = [];
    picture.classList.add("drawing");
    sketch();
  });
  picture.addEventListener("click", event => {
    if (!kind) return;
    const box = picture.querySelector("img").getBoundingClientRect();
    const share = (value, whole) => Math.round(1000 * Math.min(1, Math.max(0, value / whole))) / 1000;
    const one = [share(event.clientX - box.left, box.width), share(event.clientY - box.top, box.height)];
    if (points.length >= 3 && Math.hypot(one[0] - points[0][0], one[1] - points[0][1]) < 0.02) { close(); return; }
    points.push(one);
    sketch();
  });
  document.addEventListener("keydown", event => {
    if (!kind) return;
    if (event.key === "Escape") { points = []; close(); }
    if (event.key === "Enter") { event.preventDefault(); close(); }
  });
  for (const name of ["watch", "ignore"]) by(name).addEventListener("change", () => { redraw(); ask(); });
}

const take = by("take");
if (take) {
  take.hidden = false;
  take.addEventListener("click", () => {
    for (const cell of document.querySelectorAll("[data-suggests]")) {
      by(cell.dataset.suggests).value = cell.textContent;
      by(cell.dataset.suggests).dispatchEvent(new Event("input"));
    }
  });
}
