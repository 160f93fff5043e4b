// While one draws and types, the server is asked what of it would be refused, and that is told beside its field.
import {made} from "./map.js";

const form = document.querySelector("form[data-check]");
const number = new Intl.NumberFormat(document.documentElement.lang);
const touched = new Set();
let waiting = 0, asked = 0;

function tell(name, reason) {
  const field = form.elements[name];
  const box = field.closest(".field");
  if (!box) return;
  let told = document.getElementById(`${name}-error`);
  box.classList.toggle("wrong", Boolean(reason));
  const help = document.getElementById(`${name}-help`) ? `${name}-help ` : "";
  if (reason) {
    if (!told) {
      told = document.createElement("p");
      told.className = "error";
      told.id = `${name}-error`;
      box.insertBefore(told, field);
    }
    if (told.textContent !== reason) told.textContent = reason;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", `${help}${name}-error`);
  } else {
    told?.remove();
    field.removeAttribute("aria-invalid");
    help ? field.setAttribute("aria-describedby", help.trim()) : field.removeAttribute("aria-describedby");
  }
}

function measure(answer) {
  const place = form.querySelector("[data-measure]");
  const size = place.querySelector("[data-size]");
  size.textContent = answer.area_m2 === null ? "" : `${number.format(answer.area_m2)} m²`;
  size.className = answer.area_m2 === null ? "" : answer.errors.area ? "off" : "ok";
  let said = place.querySelector("[data-why]");
  if (!said) {
    said = document.createElement("span");
    said.dataset.why = "";
    place.querySelector("[data-cells]")?.remove();
    place.append(said);
  }
  said.className = answer.errors.area && answer.area_m2 !== null ? "off" : "quiet";
  said.textContent = answer.area_m2 === null ? "" : answer.errors.area || (answer.asked_m2 ? place.dataset.answered.replace("NUMBER", number.format(answer.asked_m2)) : "");
  const map = made.get(form.querySelector("[data-map]"));
  map?.show(answer.shapes);
}

async function check() {
  const mine = ++asked;
  const body = new FormData(form);
  const response = await fetch(form.dataset.check, {method: "POST", body}).catch(() => null);
  if (!response?.ok || mine !== asked) return;
  const answer = await response.json();
  for (const field of form.elements) {
    if (!field.name || field.type === "hidden" || field.tagName === "BUTTON") continue;
    const known = touched.has(field.name) || field.value.trim();
    tell(field.name, known ? answer.errors[field.name] || "" : "");
  }
  if (answer.area !== form.elements.area.value && form.elements.radius_m.value) {
    form.elements.area.value = answer.area;
    form.elements.area.dispatchEvent(new Event("change", {bubbles: true}));
    for (const name of ["centre_lat", "centre_lon", "radius_m"]) form.elements[name].value = "";
  }
  measure(answer);
  const open = Object.keys(answer.errors), verdict = form.querySelector("[data-verdict]");
  const marked = open.some(name => touched.has(name) || form.elements[name]?.value.trim());
  verdict.textContent = open.length === 0 ? form.dataset.untold : marked ? form.dataset.told : "";
}

function later(delay) {
  clearTimeout(waiting);
  waiting = setTimeout(check, delay);
}

// Times are typed with their offset; beside them stands a clock in the zone of who reads.
const clock = form.querySelector("[data-clock]");
for (const name of ["start", "end"]) {
  const field = form.elements[name], part = clock.content.cloneNode(true), local = part.querySelector("input");
  const shown = () => {
    const at = new Date(field.value);
    if (/(Z|[+-]\d\d:?\d\d)$/i.test(field.value.trim()) && !isNaN(at))
      local.value = new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  };
  local.addEventListener("input", () => {
    const at = new Date(local.value);
    if (isNaN(at)) return;
    field.value = at.toISOString().slice(0, 19) + "Z";
    field.dispatchEvent(new Event("input", {bubbles: true}));
  });
  field.addEventListener("input", shown);
  field.after(part);
  shown();
}

form.addEventListener("input", event => { if (event.target.name) later(250); });
form.addEventListener("focusout", event => {
  if (event.target.name && event.target.tagName !== "BUTTON" && event.target.value) { touched.add(event.target.name); later(50); }
});
form.querySelector("[data-plain]").open = Boolean(form.querySelector("[data-plain] .wrong"));
if (form.elements.area.value) form.querySelector("[data-map]").addEventListener("map", () => later(0));
