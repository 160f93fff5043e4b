// The page tells by itself what is new; without this it is as of when it was opened.
const now = document.getElementById("now");
const source = new EventSource(now.dataset.stream);
source.addEventListener("message", event => {
  // Whoever is reading or has chosen something in it is not disturbed.
  if (now.contains(document.activeElement) || !getSelection().isCollapsed) return;
  now.innerHTML = JSON.parse(event.data);
  document.dispatchEvent(new Event("renewed"));
});
source.addEventListener("error", () => source.close());
