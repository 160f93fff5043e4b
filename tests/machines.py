"""Machines of their own for a test: namespaces with an address, a disk, shared memory, processes and a name each.

All of it lives inside one switch, which is a namespace too: nothing of the machine that runs the tests is changed, and
whatever is left ends with the processes that hold the namespaces.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Lives for as long as the namespaces, takes the ended ones out of the table as an init does, and does nothing else.
_INIT = "while :; do sleep 1000; done"
_UNSHARE = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--net",
    "--mount",
    "--pid",
    "--uts",
    "--ipc",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
_NETWORK, _GATEWAY = "10.77.0", 254


def why_not() -> str:
    """Return why no machines can be made here, "" where they can."""
    tried = "ip link add name br0 type bridge && ip link add name one type veth peer name other"
    try:
        done = subprocess.run([*_UNSHARE, "sh", "-c", tried], capture_output=True, text=True, check=False, timeout=20)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return f"no network namespaces: {error}"
    return f"no network namespaces: {done.stderr.strip()}" if done.returncode else ""


@dataclass
class Machine:
    """One machine: what runs on it sees its own processes, /opt, /dev/shm, /etc/hosts, name and network alone."""

    name: str
    address: str
    _holder: subprocess.Popen[bytes]
    init: int
    environment: dict[str, str] = field(default_factory=dict)

    def words(self, script: str) -> list[str]:
        """Return the command that runs a script of bash on this machine."""
        enter = ("nsenter", "--net", "--mount", "--pid", "--uts", "--ipc", "--target", str(self.init))
        return [*enter, "bash", "-euo", "pipefail", "-c", script]

    def start(self, script: str) -> subprocess.Popen[bytes]:
        """Start a script and leave it running; what it says goes to /opt/said."""
        return subprocess.Popen(
            self.words(f"exec >>/opt/said 2>&1\n{script}"), env=self._environment(), stdin=subprocess.DEVNULL
        )

    def run(self, script: str, *, timeout_s: float = 120) -> str:
        """Run a script to its end and return what it printed; an AssertionError tells what went wrong."""
        done = self.asked(script, timeout_s=timeout_s)
        assert done.returncode == 0, f"{self.name}: {script}\n{done.stdout}{done.stderr}"
        return done.stdout

    def asked(self, script: str, *, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a script to its end, whatever comes of it."""
        words = self.words(script)
        # Files and no pipes: what a script leaves running holds its end of a pipe open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            code = subprocess.run(
                words, env=self._environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False,
                timeout=timeout_s,
            ).returncode  # fmt: skip
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(words, code, out.read(), err.read())

    def said(self) -> str:
        """Return what its started scripts said."""
        return self.asked("cat /opt/said").stdout

    def kill(self) -> None:
        """Take its power away: every process on it is killed at once, and its disk is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.init, signal.SIGKILL)
        self._holder.wait(20)

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/opt/home", "LC_ALL": "C.UTF-8"} | (
            self.environment
        )


class Switch:
    """What machines are plugged into; made by `switch`."""

    def __init__(self) -> None:
        self._machines: list[Machine] = []
        self._adding = threading.Lock()
        self._hub = _boot("hub", "")
        self._in_hub("ip link set lo up; ip link add br0 type bridge; ip link set br0 up")
        self._in_hub(f"ip address add {_NETWORK}.{_GATEWAY}/24 dev br0")

    def add(self, name: str, *, hosts: str) -> Machine:
        """Boot a machine of this name and plug it in; `hosts` are the lines of its /etc/hosts."""
        with self._adding:
            number = len(self._machines) + 1
            machine = _boot(name, f"{_NETWORK}.{number}")
            self._machines.append(machine)
        self._in_hub(
            f"ip link add port{number} type veth peer name eth0 netns {machine.init}\n"
            f"ip link set port{number} master br0 up"
        )
        machine.run(
            f"""hostname {name}
            mount -t tmpfs tmpfs /opt; mount -t tmpfs -o size=512m tmpfs /dev/shm; mkdir /opt/home
            printf '127.0.0.1 localhost\\n%s\\n' '{hosts}' >/opt/hosts; mount --bind /opt/hosts /etc/hosts
            # Nobody answers for names here: gRPC would wait for who does in the network that this machine is in.
            echo nameserver 127.0.0.1 >/opt/resolv; mount --bind /opt/resolv "$(readlink -f /etc/resolv.conf)"
            ip link set lo up; ip address add {machine.address}/24 dev eth0; ip link set eth0 up
            ip route add default via {_NETWORK}.{_GATEWAY}"""
        )
        return machine

    def unplug(self, machine: Machine) -> None:
        """Let nothing reach a machine or leave it, in silence: no connection is told that the other end is gone."""
        self._in_hub(f"ip link set port{self._machines.index(machine) + 1} nomaster")

    def close(self) -> None:
        """End everything."""
        for machine in (*self._machines, self._hub):
            machine.kill()

    def _in_hub(self, script: str) -> None:
        # Of its namespaces only the network: the ends of cables are named by processes of this machine.
        words = ["nsenter", "--net", "--target", str(self._hub.init), "sh", "-euc", script]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0, f"{script}\n{done.stderr}"


@contextlib.contextmanager
def switch() -> Iterator[Switch]:
    """Give a switch; at the end all that was plugged in is gone."""
    made = Switch()
    try:
        yield made
    finally:
        made.close()


def _boot(name: str, address: str) -> Machine:
    holder = subprocess.Popen([*_UNSHARE, "bash", "-c", _INIT], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
    until = time.monotonic() + 20
    while not (init := children.read_text(encoding="ascii").split()):
        assert time.monotonic() < until, f"{name}: its namespaces were not made"
        time.sleep(0.01)
    # Its mounts are its own once it is bash that runs in it.
    while Path(f"/proc/{init[0]}/comm").read_text(encoding="ascii") != "bash\n":
        assert time.monotonic() < until, f"{name}: it did not start"
        time.sleep(0.01)
    return Machine(name, address, holder, int(init[0]))
