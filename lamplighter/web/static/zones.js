// Zones can be typed; with this they can be drawn on the picture too. The field holds them either way.
const SVG = "http://www.w3.org/2000/svg";
const read = text => text.split("\n").map(line => line.trim().split(/\s+/).filter(Boolean).map(corner => corner.split(",").map(Number)));
for (const field of document.querySelectorAll("[data-zones]")) {
  const place = field.querySelector("[data-picture]"), typed = field.querySelector("textarea");
  if (!place) continue;
  const begin = document.createElement("button");
  begin.type = "button";
  begin.textContent = place.dataset.draw;
  place.append(begin);
  begin.addEventListener("click", () => {
    let corners = [];
    const [stage, picture, over, hint, actions] = ["div", "img", "svg", "p", "p"].map(name => name === "svg" ? document.createElementNS(SVG, name) : document.createElement(name));
    stage.className = "stage";
    picture.src = place.dataset.picture;
    picture.alt = place.dataset.alt;
    over.setAttribute("viewBox", "0 0 1 1");
    over.setAttribute("preserveAspectRatio", "none");
    hint.className = "help";
    hint.textContent = place.dataset.hint;
    actions.className = "actions";
    const draw = () => {
      over.replaceChildren();
      for (const [zone, open] of [...read(typed.value).map(zone => [zone, false]), [corners, true]]) {
        if (!zone.length || zone.flat().some(isNaN)) continue;
        const shape = document.createElementNS(SVG, open ? "polyline" : "polygon");
        shape.setAttribute("points", zone.map(corner => corner.join(",")).join(" "));
        shape.setAttribute("class", open ? "open" : "zone");
        over.append(shape);
      }
    };
    const end = () => {
      if (corners.length > 2) typed.value = `${typed.value.trimEnd()}\n${corners.map(corner => corner.join(",")).join(" ")}`.trimStart();
      corners = [];
      draw();
    };
    for (const [said, act] of [[place.dataset.end, end], [place.dataset.undo, () => { typed.value = typed.value.trimEnd().split("\n").slice(0, -1).join("\n"); corners = []; draw(); }]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = said;
      button.addEventListener("click", act);
      actions.append(button);
    }
    over.addEventListener("click", event => {
      const box = over.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(at => Math.round(1000 * Math.min(1, Math.max(0, at))) / 1000);
      const last = corners.at(-1);
      if (!last || last[0] !== x || last[1] !== y) corners.push([x, y]);
      draw();
    });
    over.addEventListener("dblclick", end);
    typed.addEventListener("input", draw);
    stage.append(picture, over);
    place.replaceChildren(hint, stage, actions);
    draw();
  });
}
