"""A real RTSP server for the tests, run with the system's Python: rtsp_server.py [PORT FILE...].

Without arguments it only says by its exit code whether all it needs is installed.
It serves the H.264 video of each FILE at rtsp://user:secret@127.0.0.1:PORT/STEM, in real time and shared by all who
ask, and prints PORT (0: any that is free) once it listens.
"""

import sys
from pathlib import Path
from typing import Any

import gi  # type: ignore[import-not-found, unused-ignore]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # type: ignore[import-not-found, unused-ignore]  # noqa: E402


def missing() -> list[str]:
    """Return the parts of GStreamer that are not installed."""
    return [name for name in ("filesrc", "qtdemux", "h264parse", "rtph264pay") if not Gst.ElementFactory.find(name)]


def serve(port: str, *files: str) -> None:
    """Serve until killed."""
    server: Any = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("user", "secret"), token)
    server.set_auth(auth)
    for file in files:
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(
            f"( filesrc location={file} ! qtdemux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"
        )
        factory.set_shared(True)
        permissions = GstRtspServer.RTSPPermissions()
        for right in ("access", "construct"):
            permissions.add_permission_for_role("user", f"media.factory.{right}", True)
        factory.set_permissions(permissions)
        server.get_mount_points().add_factory(f"/{Path(file).stem}", factory)
    if not server.attach(None):
        sys.exit(f"port {port} cannot be had")
    print(server.get_bound_port(), flush=True)  # noqa: T201 - how the test learns it
    GLib.MainLoop().run()


if __name__ == "__main__":
    Gst.init(None)
    if missing():
        sys.exit(f"not installed: {', '.join(missing())}")
    if sys.argv[1:]:
        serve(*sys.argv[1:])
