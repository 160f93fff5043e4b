"""Films simulated cameras: one scene becomes one clip on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.media.encode import encode
from simulation.scene import Scene, render
from storage.contract import drafted
from workers.receipt import Outcome, Stopwatch

_FAST = {"preset": "ultrafast", "crf": "28"}  # the encoder is the whole cost of a film; sensor noise is dear


@dataclass(frozen=True, slots=True)
class FilmJob:
    """A scene, the file it becomes, and how it is encoded (`gop`: frames from keyframe to keyframe)."""

    scene: Scene
    path: Path
    codec: str = "libx264"
    gop: int = 50
    options: Mapping[str, str] = field(default_factory=lambda: dict(_FAST), hash=False)

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self.path)


def film(job: FilmJob, context: object, watch: Stopwatch) -> tuple[Outcome, Path]:  # noqa: ARG001 - needs none
    """Write the clip, whole or not at all; a clip that is there already is left as it is."""
    if job.path.exists():
        return Outcome.ALREADY, job.path
    watch.footage_s = float(job.scene.frames / job.scene.rate)
    frames = watch.each("render", render(job.scene))
    with drafted(job.path, job.path.suffix) as draft, watch("encode"):  # the container follows the suffix
        encode(draft, frames, rate=job.scene.rate, codec=job.codec, gop=job.gop, options=job.options)
    watch.seconds["encode"] -= watch.seconds["render"]
    return Outcome.DONE, job.path
