"""A real RTSP server for the tests, run with the system's Python: rtsp_server.py FILE [SECONDS_BETWEEN_RTCP].

It serves the H.264 video of FILE at rtsp://127.0.0.1:PORT/cam, in real time and shared by all who ask, and prints PORT.
`/locked` is the same behind the name "user" and the password "secret".
"""

import sys
from typing import Any

import gi  # type: ignore[import-not-found, unused-ignore]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found, unused-ignore]  # noqa: E402


def main(path: str) -> None:
    """Serve until killed."""
    Gst.init(None)
    server: Any = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f"( filesrc location={path} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"
    )
    factory.set_shared(True)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)  # noqa: T201 - how the test learns it
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(sys.argv[1])
