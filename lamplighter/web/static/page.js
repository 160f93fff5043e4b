// Every page works without this; with it, times are told in the reader's own zone too.
const tell = () => { for (const time of document.querySelectorAll("time[datetime]:not([data-told])")) {
  const at = new Date(time.dateTime);
  time.dataset.told = "";
  if (isNaN(at)) continue;
  const here = at.toLocaleString(document.documentElement.lang, {
    year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  time.textContent = `${here} (${time.dateTime.replace("T", " ").replace("Z", "")} UTC)`;
} };
tell();
document.addEventListener("renewed", tell);
for (const form of document.querySelectorAll("form[data-confirm]"))
  form.addEventListener("submit", event => { if (!confirm(form.dataset.confirm)) event.preventDefault(); });
