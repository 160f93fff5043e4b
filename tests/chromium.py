"""Chromium, as whoever is handed a clip has it: plays a film to its end, and says which numbers it showed."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Any, Final

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
# The numbers stand in twelve blocks, as tests.films draws them; a frame stands still when it is read.
_PAGE: Final = """<!doctype html><video id="film" muted playsinline></video><script>
const film = document.getElementById("film"), canvas = document.createElement("canvas");
canvas.width = 128; canvas.height = 96;
const pen = canvas.getContext("2d", {willReadFrequently: true});
function number() {
  pen.drawImage(film, 0, 0, 128, 96);
  let found = 0;
  for (let bit = 0; bit < 12; bit++)
    if (pen.getImageData(bit % 4 * 32 + 16, Math.floor(bit / 4) * 32 + 16, 1, 1).data[1] > 125) found |= 1 << bit;
  return found;
}
const say = told => fetch("/told", {method: "POST", body: JSON.stringify(told)});
const event = name => new Promise((go, no) => {
  film.addEventListener(name, go, {once: true});
  film.addEventListener("error", () => no(film.error.message), {once: true});
});
(async () => {
  const {film: source, times} = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  film.src = URL.createObjectURL(await (await fetch(source)).blob());  // whose every byte can be sought
  await event("loadeddata");
  const shown = [];
  for (const time of times) {
    // A frame may be painted after its "seeked"; where it stood there already none is painted anew.
    const painted = new Promise(go => film.requestVideoFrameCallback(go));
    film.currentTime = time;
    await event("seeked");
    await Promise.race([painted, new Promise(go => setTimeout(go, 2000))]);
    shown.push(number());
  }
  film.currentTime = 0; await event("seeked");
  const end = event("ended");
  film.playbackRate = 4;
  await film.play();
  await end;
  const {totalVideoFrames: decoded, corruptedVideoFrames: corrupted} = film.getVideoPlaybackQuality();
  say({shown, last: number(), length: film.duration, decoded, corrupted});
})().catch(error => say({error: String(error)}));
</script>"""


def program() -> str | None:
    """Return where Chromium is, None where it is not."""
    return next((found for name in _PROGRAMS if (found := shutil.which(name))), None)


def played(path: Path, times: list[float], *, timeout_s: float = 300) -> dict[str, Any]:
    """Open a film, seek to each of these seconds, then play it to its end.

    Returns the numbers it `shown` there and the `last` one, its `length` in seconds, and how many frames were `decoded`
    and `corrupted` while it played; or the `error` it met. Raises TimeoutError.
    """
    told: dict[str, Any] = {}
    heard = threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/":
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(_PAGE.encode())

        def do_POST(self) -> None:
            told.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            heard.set()

        def log_message(self, *_: object) -> None:
            pass

    at = json.dumps({"film": path.name, "times": times})
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(path.parent))) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
        flags += [f"--user-data-dir={folder}", "--no-first-run", "--mute-audio", "--disable-dev-shm-usage"]
        url = f"http://127.0.0.1:{server.server_port}/#{at}"
        with subprocess.Popen([str(program()), *flags, url], stdout=-3, stderr=-3, start_new_session=True) as browser:
            try:
                if not heard.wait(timeout_s):
                    raise TimeoutError(f"Chromium said nothing of {path.name} in {timeout_s:g} s")
            finally:
                browser.terminate()
                browser.wait()
                server.shutdown()
    return told
