"""How recorders and apps name their files: the templates of each, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Final

from pipeline.errors import ClipError, ConfigError
from pipeline.media.template import NoFit, PathTemplate, Reading

_DASHCAMS: Final = (
    "{start:%Y%m%d_%H%M%S@local}_{part}.{ext}",
    "{start:%y%m%d_%H%M%S@local}_{number}_{part}.{ext}",
    "{start:%Y_%m%d_%H%M%S@local}_{number}{part}.{ext}",
    "{start:%Y%m%d%H%M%S@local}_{number}{part}.{ext}",
    "NO{start:%Y%m%d-%H%M%S@local}-{number}{part}.{ext}",
    "EV{start:%Y%m%d-%H%M%S@local}-{number}{part}.{ext}",
    "PA{start:%Y%m%d-%H%M%S@local}-{number}{part}.{ext}",
    "{start:%Y-%m-%d_%H-%M-%S@local}-{part}.{ext}",
)

# docs/reference/layouts.md says where each name comes from; what is local there is @local here.
TEMPLATES: Final[dict[str, tuple[str, ...]]] = {
    "plain": ("{camera}/{start:%Y%m%dT%H%M%SZ}.{ext}",),
    "frigate": (
        "{start:%Y-%m-%d/%H@UTC}/{camera}/{start:%M.%S}.{ext}",
        "{start:%Y-%m/%d/%H@local}/{camera}/{start:%M.%S}.{ext}",
        "{camera}-{start:epoch}-{part}.{ext}",
        "clip_{camera}_{start:epoch}-{part}.{ext}",
        "{camera}_{start:%Y%m%d_%H%M%S@local}-{digits}_{digits}_{part}.{ext}",
    ),
    "dahua": (
        "{camera}/{start:%Y-%m-%d@local}/{digits}/dav/{part}/{start:%H.%M.%S}-{part}.{ext}",
        "{camera}/{part}/{start:%Y-%m-%d@local}/{digits}/dav/{part}/{start:%H.%M.%S}-{part}.{ext}",
        # The camera is the recorder and its channel: NVR_ch2 is not NVR_ch1, and may be another owner's.
        "{camera}_main_{start:%Y%m%d%H%M%S@local}_{digits}.{ext}",
        "{camera}_sub_{start:%Y%m%d%H%M%S@local}_{digits}.{ext}",
    ),
    "reolink": (
        "{camera}_{digits}_{start:%Y%m%d%H%M%S@local}.{ext}",
        "{camera}/Mp4Record/{part}/Rec{part}_{start:%Y%m%d_%H%M%S@local}_{part}.{ext}",
        "{camera}/Mp4Record/{part}/Rec{part}_DST{start:%Y%m%d_%H%M%S@local}_{part}.{ext}",
        "{camera}/Rec{part}_{start:%Y%m%d_%H%M%S@local}_{part}.{ext}",
        "{camera}/Rec{part}_DST{start:%Y%m%d_%H%M%S@local}_{part}.{ext}",
    ),
    "ring": (
        "RingVideo_{start:%Y%m%d_%H%M%S@local}.{ext}",
        "{camera}/RingVideo_{start:%Y%m%d_%H%M%S@local}.{ext}",
        "{camera}_{start:%Y-%m-%dT%H-%M-%S@local}.{ext}",
        "{camera}_{start:%Y-%m-%dT%H-%M-%S%z}.{ext}",
    ),
    "blink": (
        "{camera}_{start:%Y-%m-%dT%H_%M_%S%z}.{ext}",
        "{camera}_{start:%Y-%m-%dT%H-%M-%S%z}.{ext}",
        "{camera}/{start:%Y-%m-%dT%H_%M_%S%z}.{ext}",
        "{camera}-{start:%Y-%m-%dt%H-%M-%S-00-00@UTC}.{ext}",
        "{start:%y-%m-%d@UTC}/{start:%H-%M-%S}_{camera}_{digits}.{ext}",
    ),
    "unifi": (
        "{camera} {start:%-m-%-d-%Y, %H.%M.%S %z} - {part}.{ext}",
        "{camera} {start:%-m-%-d-%Y, %H.%M.%S %z}.{ext}",
        "{camera} - {start:%-m-%-d-%Y, %-I.%M.%S%p@local}.{ext}",
        "{camera} ({part}) - {start:%Y-%m-%d--%H-%M-%S%z}.{ext}",
    ),
    # The camera is a folder, at most two above the file, as the cards have it; or none, with --camera.
    "dashcam": tuple(
        f"{above}{name}" for above in ("", "{camera}/", "{camera}/{part}/", "{camera}/{part}/{part}/")
        for name in _DASHCAMS
    ),
}  # fmt: skip
LAYOUTS: Final = tuple(TEMPLATES)


class Layout:
    """Several templates under one name: a path is read by all of them, and whose it is has to be the same by all."""

    def __init__(self, name: str, templates: Iterable[PathTemplate]) -> None:
        self.name, self.templates = name, tuple(templates)

    def readings(self, path: str, *, times: bool = True) -> list[Reading]:
        """See Readable."""
        found: dict[Reading, None] = {}
        wrong: ClipError | None = None
        for rank, template in enumerate(self.templates):
            try:
                for reading in template.readings(path, times=times):
                    found.setdefault(replace(reading, rank=rank))
            except NoFit:
                continue
            except ClipError as error:
                wrong = error
        if not found:
            raise wrong or NoFit(
                "name", f"the path does not fit the layout {self.name}; docs/reference/layouts.md shows its names"
            )
        return list(found)


@cache
def layout(name: str) -> Layout:
    """Return a layout by its name. Raises ConfigError when there is none of it."""
    if name not in TEMPLATES:
        raise ConfigError(f"layout {name!r}: wanted one of {', '.join(LAYOUTS)}")
    return Layout(name, map(PathTemplate, TEMPLATES[name]))
