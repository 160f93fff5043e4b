// A map in the page: every element with data-map, over the server's own drawing of the area, which stays where this
// cannot run. Nothing is asked of another host: the ground is the town's own file, or a plain one with a grid.
import * as gl from "./vendor/maplibre-gl.mjs";

gl.setWorkerUrl(new URL("./vendor/maplibre-gl-worker.mjs", import.meta.url).href);

const METRES = 40007863 / 360; // a degree of latitude
const NONE = {type: "FeatureCollection", features: []};
const dark = matchMedia("(prefers-color-scheme: dark)");

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = name => style.getPropertyValue(name).trim();
  return {
    ground: of("--map-ground"), land: of("--map-green"), water: of("--map-water"), house: of("--map-house"),
    road: of("--map-road"), edge: of("--map-edge"), grid: of("--map-grid"), area: of("--link"), lamp: of("--lamp"),
    bad: of("--bad"), good: of("--good"), quiet: of("--quiet"), paper: of("--paper"),
  };
}

// Layers of the town: what they are of is told by "kind" in a .geojson, by the layer's name in a .pmtiles.
function townLayers(source, layers) {
  const found = [];
  const add = (id, kind, filter, type, paint, layer) => found.push({
    id, type, source, ...(layer ? {"source-layer": layer} : {}), ...(filter ? {filter} : {}),
    layout: type === "line" ? {"line-cap": "round", "line-join": "round"} : {}, paint, metadata: {kind},
  });
  // So many metres on the ground, and never less than a hair.
  const wide = metres => ["interpolate", ["exponential", 2], ["zoom"], 10, ["max", 0.4, ["/", metres, 90]], 20, ["*", metres, 10]];
  const polygons = ["==", ["geometry-type"], "Polygon"], lines = ["==", ["geometry-type"], "LineString"];
  if (layers === null) {
    const of = kind => ["all", polygons, ["==", ["get", "kind"], kind]];
    for (const kind of ["park", "water", "building"])
      add(`town-${kind}`, kind, of(kind), "fill", {"fill-color": "#888888"});
    const known = ["match", ["get", "kind"], "road", 11, "street", 7, "path", 2.5, "water", 12, 6];
    const road = ["all", lines, ["!=", ["get", "kind"], "water"]];
    add("town-stream", "water", ["all", lines, ["==", ["get", "kind"], "water"]], "line", {"line-width": wide(12)});
    add("town-edge", "edge", road, "line", {"line-width": wide(["*", 1.3, known])});
    add("town-road", "road", road, "line", {"line-width": wide(known)});
    return found;
  }
  const kind = name => /water|ocean|river|lake/.test(name) ? "water" : /build/.test(name) ? "building"
    : /land|park|green|earth|natural|wood/.test(name) ? "park" : /road|transport|street|high|path|rail/.test(name) ? "road" : "edge";
  const order = {park: 0, water: 1, edge: 2, building: 3, road: 4};
  for (const name of [...layers].sort((a, b) => order[kind(a)] - order[kind(b)])) {
    const known = kind(name);
    if (known !== "road" && known !== "edge")
      add(`town-${name}-fill`, known, polygons, "fill", {"fill-color": "#888888"}, name);
    if (known === "road") add(`town-${name}-edge`, "edge", lines, "line", {"line-width": wide(8)}, name);
    add(`town-${name}-line`, known, lines, "line", {"line-width": known === "road" ? wide(6) : 1}, name);
  }
  return found;
}

function painted(kind, colour) {
  return {park: colour.land, water: colour.water, building: colour.house, road: colour.road, edge: colour.edge}[kind];
}

function ownLayers() {
  const is = (...kinds) => ["in", ["get", "kind"], ["literal", kinds]];
  return [
    {id: "grid", type: "line", source: "grid", paint: {"line-width": 1}},
    {id: "cells", type: "fill", source: "shown", filter: is("cells"), paint: {"fill-opacity": 0.14}},
    {id: "cells-edge", type: "line", source: "shown", filter: is("cells"), paint: {"line-width": 1, "line-dasharray": [2, 2]}},
    {id: "area", type: "fill", source: "shown", filter: is("area"), paint: {"fill-opacity": 0.22}},
    {id: "area-edge", type: "line", source: "shown", filter: is("area"), paint: {"line-width": 2.5}},
    {id: "points", type: "circle", source: "shown", filter: ["==", ["geometry-type"], "Point"],
     paint: {"circle-radius": 7, "circle-stroke-width": 2}},
  ];
}

function repaint(map) {
  const colour = colours();
  const set = (id, name, value) => map.getLayer(id) && map.setPaintProperty(id, name, value);
  set("ground", "background-color", colour.ground);
  for (const layer of map.getStyle().layers) {
    const kind = layer.metadata?.kind;
    if (kind) set(layer.id, `${layer.type}-color`, painted(kind, colour));
  }
  set("grid", "line-color", colour.grid);
  for (const id of ["cells", "area"]) set(id, "fill-color", id === "cells" ? colour.lamp : colour.area);
  set("cells-edge", "line-color", colour.lamp);
  set("area-edge", "line-color", colour.area);
  set("points", "circle-color", ["match", ["get", "state"], "good", colour.good, "bad", colour.bad, "waits", colour.lamp, colour.quiet]);
  set("points", "circle-stroke-color", colour.paper);
}

// West, south, east, north of anything in GeoJSON, or null of nothing.
export function bounds(shape) {
  let found = null;
  const look = part => {
    if (Array.isArray(part) && typeof part[0] === "number") {
      const [lon, lat] = part;
      found = found === null ? [lon, lat, lon, lat]
        : [Math.min(found[0], lon), Math.min(found[1], lat), Math.max(found[2], lon), Math.max(found[3], lat)];
    } else if (Array.isArray(part)) part.forEach(look);
    else if (part && typeof part === "object") look(part.features || part.geometry || part.geometries || part.coordinates);
  };
  look(shape);
  return found;
}

// The town: its source, its layers, and where it is. Without a file, or with one that cannot be read, there is none.
async function town(url, kind) {
  const nothing = {sources: {}, layers: [], bounds: null};
  if (!url) return nothing;
  try {
    if (kind === "geojson") {
      const answer = await fetch(url);
      if (!answer.ok) return nothing;
      const data = await answer.json();
      return {sources: {town: {type: "geojson", data}}, layers: townLayers("town", null), bounds: bounds(data)};
    }
    const full = new URL(url, location.href).href;
    const archive = new pmtiles.PMTiles(full);
    const [header, meta] = [await archive.getHeader(), await archive.getMetadata()];
    if (!protocol) {
      protocol = new pmtiles.Protocol();
      gl.addProtocol("pmtiles", protocol.tile);
    }
    protocol.add(archive);
    const where = [header.minLon, header.minLat, header.maxLon, header.maxLat];
    const vector = header.tileType === 1;
    const source = {type: vector ? "vector" : "raster", url: `pmtiles://${full}`, ...(vector ? {} : {tileSize: 256})};
    const layers = vector ? townLayers("town", (meta.vector_layers || []).map(one => one.id))
      : [{id: "town-picture", type: "raster", source: "town"}];
    return {sources: {town: source}, layers, bounds: where};
  } catch {
    return nothing;
  }
}
let protocol = null;

// Lines at round distances from west to east and from south to north, so that an empty ground has a measure.
function grid(map) {
  const box = map.getBounds(), middle = Math.min(80, Math.abs(map.getCenter().lat)) * Math.PI / 180;
  const across = METRES * (box.getNorth() - box.getSouth());
  const ten = 10 ** Math.floor(Math.log10(Math.max(across / 4, 1)));
  const step = [1, 2, 5, 10].map(one => one * ten).filter(one => one <= Math.max(across / 4, 1)).pop();
  const up = step / METRES, east = step / (METRES * Math.cos(middle)), features = [];
  const line = coordinates => features.push({type: "Feature", properties: {}, geometry: {type: "LineString", coordinates}});
  for (let lat = Math.floor(box.getSouth() / up) * up; lat < box.getNorth() && features.length < 60; lat += up)
    line([[box.getWest(), lat], [box.getEast(), lat]]);
  for (let lon = Math.floor(box.getWest() / east) * east; lon < box.getEast() && features.length < 120; lon += east)
    line([[lon, box.getSouth()], [lon, box.getNorth()]]);
  return {type: "FeatureCollection", features};
}

function shapes(text) {
  try {
    const found = JSON.parse(text || "null");
    if (!found) return NONE;
    return found.type === "FeatureCollection" ? found : {type: "FeatureCollection", features: [found]};
  } catch {
    return NONE;
  }
}

function drawable() {
  const canvas = document.createElement("canvas");
  return Boolean(canvas.getContext("webgl2"));
}

// Make a map of an element; resolves once it is drawn: {map, show(features)}. Null where there is no WebGL.
export async function make(element) {
  if (!drawable()) return null;
  const ground = await town(element.dataset.town, element.dataset.townKind);
  const shown = shapes(element.dataset.shapes);
  const start = bounds(shown) || shapes(element.dataset.start).features.length && bounds(shapes(element.dataset.start)) || ground.bounds;
  const place = document.createElement("div");
  place.className = "canvas";
  const map = new gl.Map({
    container: place, attributionControl: false, maxPitch: 0, dragRotate: false, pitchWithRotate: false,
    fadeDuration: 0, maxZoom: 20, locale: JSON.parse(element.dataset.words || "{}"),
    ...(start ? {bounds: start, fitBoundsOptions: {padding: 48, maxZoom: 17}} : {center: [0, 25], zoom: 1}),
    style: {
      version: 8,
      sources: {...ground.sources, shown: {type: "geojson", data: shown}, grid: {type: "geojson", data: NONE}},
      layers: [{id: "ground", type: "background", paint: {}}, ...ground.layers, ...ownLayers()],
    },
  });
  const drawing = element.querySelector("svg");
  element.replaceChildren(...[place, ...element.querySelectorAll("[data-keep]")]);
  map.resize();
  if (start) map.fitBounds(start, {padding: 48, maxZoom: 17, duration: 0});
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new gl.NavigationControl({showCompass: false}), "top-right");
  map.addControl(new gl.ScaleControl({maxWidth: 120}), "bottom-left");
  map.getCanvas().setAttribute("aria-label", element.dataset.label || drawing?.getAttribute("aria-label") || "");
  map.getCanvas().setAttribute("role", element.dataset.draw === undefined ? "img" : "application");
  const draw = () => { if (!ground.layers.length) map.getSource("grid")?.setData(grid(map)); };
  await new Promise(done => map.once("load", done));
  repaint(map);
  draw();
  map.on("moveend", draw);
  dark.addEventListener("change", () => repaint(map));
  map.on("click", "points", event => {
    const href = event.features[0].properties.href;
    if (href) location.href = href;
  });
  map.on("mousemove", "points", () => { map.getCanvas().style.cursor = "pointer"; });
  map.on("mouseleave", "points", () => { map.getCanvas().style.cursor = ""; });
  const one = {map, element, show: features => map.getSource("shown").setData(features)};
  map.once("idle", () => { element.dataset.drawn = "yes"; });
  made.set(element, one);
  element.dispatchEvent(new CustomEvent("map", {detail: one}));
  return one;
}
export const made = new Map();

for (const element of document.querySelectorAll("[data-map]")) make(element);
