// Drawing on a map into a field that holds GeoJSON: with the pointer, or with the keyboard by a cross in the middle.
import {made, bounds} from "./map.js";

const MOST_LISTED = 24;

function hex(name) {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return canvas.fillStyle;
}

function modes() {
  const ink = hex("--link"), paper = hex("--paper");
  const fill = {fillColor: ink, fillOpacity: 0.2, outlineColor: ink, outlineWidth: 3};
  const corner = {closingPointColor: paper, closingPointOutlineColor: ink, closingPointWidth: 7, closingPointOutlineWidth: 2,
                  coordinatePointColor: paper, coordinatePointOutlineColor: ink};
  return [
    new terraDraw.TerraDrawPolygonMode({styles: {...fill, ...corner}, keyEvents: {cancel: "Escape", finish: null}}),
    new terraDraw.TerraDrawRectangleMode({styles: fill, keyEvents: {cancel: "Escape", finish: null}}),
    new terraDraw.TerraDrawCircleMode({styles: fill, keyEvents: {cancel: "Escape", finish: null}}),
    new terraDraw.TerraDrawPolygonMode({modeName: "round", styles: {...fill, ...corner}, keyEvents: null}),
    new terraDraw.TerraDrawSelectMode({
      flags: {
        polygon: {feature: {draggable: true, coordinates: {midpoints: true, draggable: true, deletable: true}}},
        round: {feature: {draggable: true}}, // of many corners no single one is taken hold of
      },
      styles: {
        selectedPolygonColor: ink, selectedPolygonFillOpacity: 0.2, selectedPolygonOutlineColor: ink, selectedPolygonOutlineWidth: 3,
        selectionPointColor: paper, selectionPointOutlineColor: ink, selectionPointWidth: 7, selectionPointOutlineWidth: 2,
        midPointColor: ink, midPointOutlineColor: paper, midPointWidth: 5, midPointOutlineWidth: 1,
      },
    }),
  ];
}

function polygon(text) {
  try {
    let found = JSON.parse(text);
    if (found.type === "FeatureCollection" && found.features.length === 1) found = found.features[0];
    if (found.type === "Feature") found = found.geometry;
    return found.type === "Polygon" && found.coordinates.every(ring => ring.length > 3) ? found : null;
  } catch {
    return null;
  }
}

function begin({map, element}) {
  const form = element.closest("form"), field = document.getElementById(element.dataset.draw);
  const tools = form.querySelectorAll("[data-tools]"), list = form.querySelector("[data-corners]");
  const canvas = map.getCanvas();
  let loose = []; // corners that are no area yet
  let busy = false; // what is drawn follows the field just now, and not the field what is drawn
  const round = value => Math.round(value * 1e7) / 1e7;
  const cross = document.createElement("div");
  cross.className = "cross";
  element.append(cross);

  const adapter = new terraDrawMaplibreGlAdapter.TerraDrawMapLibreGLAdapter({map, coordinatePrecision: 9});
  const draw = new terraDraw.TerraDraw({adapter, modes: modes()});
  draw.start();
  map.addSource("loose", {type: "geojson", data: {type: "FeatureCollection", features: []}});
  map.addLayer({id: "loose", type: "line", source: "loose", paint: {"line-width": 3, "line-color": hex("--link")}});
  map.addLayer({id: "loose-corners", type: "circle", source: "loose", filter: ["==", ["geometry-type"], "Point"],
                paint: {"circle-radius": 6, "circle-color": hex("--paper"), "circle-stroke-color": hex("--link"), "circle-stroke-width": 3}});

  const corners = () => loose.length ? loose : (polygon(field.value)?.coordinates[0] || []).slice(0, -1);
  const mode = name => {
    draw.setMode(name);
    for (const button of form.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", button.dataset.mode === name);
  };

  // What the field says is what is drawn.
  function redraw(select) {
    busy = true;
    draw.clear();
    const found = polygon(field.value);
    const feature = found && found.coordinates.length === 1 && {
      type: "Feature", properties: {mode: found.coordinates[0].length > MOST_LISTED + 1 ? "round" : "polygon"},
      geometry: {type: "Polygon", coordinates: found.coordinates.map(ring => ring.map(([lon, lat]) => [round(lon), round(lat)]))},
    };
    let kept = false;
    if (feature) {
      const [answer] = draw.addFeatures([feature]);
      kept = answer?.valid !== false;
      if (kept && select) {
        mode("select");
        draw.selectFeature(answer.id);
      }
    }
    if (!feature && !loose.length) mode("polygon");
    const line = loose.length || (found && !kept);
    const shown = loose.length ? [{type: "LineString", coordinates: loose}, ...loose.map(coordinates => ({type: "Point", coordinates}))]
      : line ? found.coordinates.map(coordinates => ({type: "LineString", coordinates})) : [];
    map.getSource("loose").setData({
      type: "FeatureCollection",
      features: shown.filter(one => one.type === "Point" || one.coordinates.length > 1).map(geometry => ({type: "Feature", properties: {}, geometry})),
    });
    listed();
    busy = false;
  }

  function write(ring) {
    loose = ring.length < 3 ? ring : [];
    field.value = ring.length < 3 ? "" : JSON.stringify({type: "Polygon", coordinates: [[...ring, ring[0]]]});
    field.dispatchEvent(new Event("input", {bubbles: true}));
  }

  function listed() {
    const known = corners(), template = form.querySelector("[data-corner]");
    list.replaceChildren(...(known.length > MOST_LISTED ? [] : known).map(([lon, lat], at) => {
      const row = template.content.cloneNode(true).firstElementChild;
      row.querySelector("span").textContent = `${at + 1}. ${lat.toFixed(6)}, ${lon.toFixed(6)}`;
      for (const [name, change] of [["move", ring => ring.splice(at, 1, middle())], ["remove", ring => ring.splice(at, 1)]])
        row.querySelector(`[data-${name}]`).addEventListener("click", () => {
          const ring = [...corners()];
          change(ring);
          write(ring);
          redraw(true);
          (list.children[Math.min(at, list.children.length - 1)]?.querySelector(`[data-${name}]`) || canvas).focus();
        });
      return row;
    }));
  }

  const middle = () => [round(map.getCenter().lng), round(map.getCenter().lat)];
  const put = () => {
    write([...corners(), middle()]);
    redraw(true);
  };

  // What is drawn goes into the field: one area, the last.
  function taken(id) {
    const feature = draw.getSnapshotFeature(id);
    if (feature?.geometry.type !== "Polygon") return;
    loose = [];
    write(feature.geometry.coordinates[0].slice(0, -1).map(place => place.map(round)));
  }
  draw.on("finish", (id, context) => {
    taken(id);
    if (context.action === "draw") setTimeout(() => redraw(true), 0);
    else listed();
  });
  draw.on("change", (ids, kind) => {
    if (busy || kind === "delete" || draw.getMode() !== "select") return;
    const one = draw.getSnapshot().find(feature => feature.geometry.type === "Polygon");
    if (one) taken(one.id);
  });

  for (const part of tools) part.hidden = false;
  form.querySelector("[data-put]").addEventListener("click", put);
  form.querySelector("[data-clear]").addEventListener("click", () => { write([]); redraw(false); mode("polygon"); });
  for (const button of form.querySelectorAll("[data-mode]")) button.addEventListener("click", () => {
    if (button.dataset.mode === "select") return redraw(true);
    if (loose.length) write([]);
    if (draw.getMode() === "select") { draw.clear(); }
    mode(button.dataset.mode);
  });
  canvas.addEventListener("keydown", event => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    put();
  });
  for (const part of tools) {
    part.addEventListener("focusin", () => element.classList.add("aiming"));
    part.addEventListener("focusout", () => element.classList.remove("aiming"));
  }
  field.addEventListener("change", () => {
    loose = [];
    redraw(true);
    const box = bounds(polygon(field.value));
    if (box) map.fitBounds(box, {padding: 48, maxZoom: 17, duration: 0});
  });
  redraw(Boolean(polygon(field.value)));
}

for (const element of document.querySelectorAll("[data-map][data-draw]")) {
  const known = made.get(element);
  if (known) begin(known);
  else element.addEventListener("map", event => begin(event.detail), {once: true});
}
