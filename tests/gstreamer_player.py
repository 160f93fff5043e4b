"""Decodes an MP4 by GStreamer and writes a JSON list of (number, nanoseconds) of its frames, as tests.films draws them.

A program of its own, for Debian's Python: its GObject bindings are for that one alone. Arguments: film, decoder.
"""

import json
import sys

import gi  # type: ignore[import-not-found, unused-ignore]

gi.require_version("Gst", "1.0")
from gi.repository import Gst  # type: ignore[import-not-found, unused-ignore]  # noqa: E402

_PARSERS = {"openh264dec": "h264parse", "libde265dec": "h265parse"}


def main(film: str, decoder: str) -> int:
    """Write the list; 3 where there is no such decoder, 1 with its error where it fails."""
    Gst.init(None)
    if Gst.ElementFactory.find(decoder) is None:
        return 3
    line = f"filesrc name=film ! qtdemux ! {_PARSERS[decoder]} ! {decoder} ! videoconvert ! video/x-raw,format=GRAY8"
    pipeline = Gst.parse_launch(f"{line} ! appsink name=sink sync=false")
    pipeline.get_by_name("film").set_property("location", film)
    sink, found = pipeline.get_by_name("sink"), []
    pipeline.set_state(Gst.State.PLAYING)
    while (sample := sink.emit("pull-sample")) is not None:
        shape, buffer = sample.get_caps().get_structure(0), sample.get_buffer()
        width, height = shape.get_value("width"), shape.get_value("height")
        data = buffer.extract_dup(0, buffer.get_size())
        stride = (width + 3) // 4 * 4
        at = [
            (h * height // 3 + height // 6) * stride + w * width // 4 + width // 8 for h in range(3) for w in range(4)
        ]
        found.append((sum(1 << bit for bit, place in enumerate(at) if data[place] > 125), buffer.pts))
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if message is not None:
        sys.stderr.write(str(message.parse_error()))
        return 1
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
