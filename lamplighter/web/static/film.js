// A player without this plays as well; with it, a clip that does not play is asked for as a copy, and its times are buttons.
const seconds = text => text.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
const shown = t => `${Math.floor(t / 60)}:${(t % 60).toFixed(1).padStart(4, "0")}`.replace(/\.0$/, "");
for (const video of document.querySelectorAll("video[data-film]")) {
  const place = video.closest(".clip") ?? document.querySelector("main");
  const offset = () => Number(video.dataset.offset);
  video.addEventListener("error", () => {
    if (video.src.includes("&copy=1")) {
      video.parentElement.querySelector("[data-broken]").hidden = false;
    } else {
      const [address, at] = video.src.split("#t=");
      const begins = Number(video.dataset.copyOffset);
      video.src = `${address}&copy=1#t=${Math.max(0, Number(at) - begins)}`;
      video.dataset.offset = begins;
      video.play();
    }
  });
  for (const at of place.querySelectorAll(".at")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "link";
    button.append(...at.childNodes);
    button.addEventListener("click", () => {
      video.currentTime = Math.max(0, seconds(at.dataset.at) - offset());
      video.play();
    });
    at.replaceChildren(button);
  }
  const cutter = place.querySelector("[data-cutter]");
  if (!cutter) continue;
  const field = document.getElementById(cutter.dataset.cutter);
  cutter.hidden = false;
  cutter.addEventListener("click", event => {
    const now = shown(video.currentTime + offset()), open = /-\s*$/.test(field.value);
    if (event.target.dataset.mark === "start" && !open) field.value += `${field.value.trim() ? ", " : ""}${now}-`;
    if (event.target.dataset.mark === "end" && open) field.value = field.value.trimEnd() + now;
    const tick = place.querySelector("input[name=share]");
    if (tick) tick.checked = true;
  });
}
