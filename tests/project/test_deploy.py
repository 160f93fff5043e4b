"""What deploy/ describes: of its formats, naming files, settings and metrics that there are, and holding no secret."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from docs.house import FLOORS, ROOT
from lamplighter.settings import Settings
from storage import access

DEPLOY = ROOT / "deploy"
VENDORED = Path(__file__).parent / "kuberay"
_IMAGE = re.compile(r"lamplighter:\S+")


def documents() -> list[Path]:
    return sorted(DEPLOY.rglob("*.y*ml"))


def read(path: str | Path) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def locked(name: str) -> str:
    found = re.search(rf"^{name}==(\S+)", (ROOT / "requirements-cluster.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


# Kubernetes -----------------------------------------------------------------------------------------------------------


def strict(schema: Any) -> Any:
    """Refuse what the API server would drop without a word: a field that no schema knows, such as one misspelt."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items()}
    if made.get("type") == "object" and "properties" in made and not made.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def crd(kind: str) -> dict[str, Any]:
    """The strict schema of a kind, as KubeRay publishes it."""
    published = lzma.decompress((VENDORED / f"{kind.lower()}s.yaml.xz").read_bytes())
    definition = yaml.load(published, Loader=yaml.CSafeLoader)  # a megabyte: the loader in Python takes a minute
    (served,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1"]
    schema = strict(served["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return dict(schema)


@pytest.fixture(scope="module")
def schemas() -> dict[str, dict[str, Any]]:
    return {kind: crd(kind) for kind in ("RayCluster", "RayJob")}


def pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    spec = document["spec"].get("rayClusterSpec", document["spec"])
    return [group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])]


def test_the_vendored_schemas_are_those_that_were_published() -> None:
    listed = json.loads((VENDORED / "vendored.json").read_text(encoding="utf-8"))
    assert {entry["file"] for entry in listed} == {path.name for path in VENDORED.glob("*.xz")}
    for entry in listed:
        assert hashlib.sha256(lzma.decompress((VENDORED / entry["file"]).read_bytes())).hexdigest() == entry["sha256"]


@pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
def test_a_manifest_keeps_to_the_schema_of_its_kind(schemas: dict[str, dict[str, Any]], kind: str) -> None:
    document = read(f"kubernetes/{kind.lower()}.yaml")
    assert (document["apiVersion"], document["kind"]) == ("ray.io/v1", kind)
    jsonschema.Draft202012Validator(schemas[kind]).validate(document)


@pytest.mark.parametrize("change", ["misspelt", "missing", "of another type"])
def test_the_schema_refuses_a_manifest_that_is_wrong(schemas: dict[str, dict[str, Any]], change: str) -> None:
    document = read("kubernetes/rayjob.yaml")
    container = pods(document)[0]["containers"][0]
    if change == "misspelt":
        container["imagePullPolice"] = "Always"
    elif change == "missing":
        del container["name"]
    else:
        document["spec"]["backoffLimit"] = "two"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schemas["RayJob"]).validate(document)


@pytest.mark.parametrize("kind", ["RayCluster", "RayJob"])
def test_a_manifest_names_what_there_is(kind: str) -> None:
    document = read(f"kubernetes/{kind.lower()}.yaml")
    spec = document["spec"].get("rayClusterSpec", document["spec"])
    assert spec["rayVersion"] == locked("ray")
    assert spec["authOptions"] == {"mode": "token"}
    for pod in pods(document):
        for container in pod["containers"]:
            assert container["image"] == f"lamplighter:{version()}"
            assert {next(iter(one)): one[next(iter(one))]["name"] for one in container["envFrom"]} == {
                "secretRef": "lamplighter",
                "configMapRef": read("kubernetes/configmap.yaml")["metadata"]["name"],
            }
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted == {volume["name"] for volume in pod.get("volumes", [])}


# Compose and the image ------------------------------------------------------------------------------------------------


def variables() -> dict[str, str]:
    """Every variable that some document sets for Lamplighter, with its value."""
    found = dict(read("kubernetes/configmap.yaml")["data"])
    for service in read("compose.yaml")["services"].values():
        found |= service.get("environment", {})
    page = (ROOT / "docs" / "how-to" / "cluster.md").read_text(encoding="utf-8")
    found |= dict(re.findall(r"^(LAMPLIGHTER_\w+)=(.*)$", page, re.MULTILINE))
    stages = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
    return found | dict(re.findall(r"(LAMPLIGHTER_\w+)=(\S+)", stages))


def test_every_variable_is_a_setting_or_a_secret_of_ours() -> None:
    secrets = {access.ACCESS_KEY, access.SECRET_KEY, access.SESSION_TOKEN}
    ours = {name: value for name, value in variables().items() if name.startswith("LAMPLIGHTER_")}
    assert len(ours) > 6
    for name, value in ours.items():
        if name in secrets:
            continue
        section, _, field = name.removeprefix("LAMPLIGHTER_").lower().partition("__")
        model: Any = Settings.model_fields[section].annotation
        if field:
            model.__pydantic_validator__.validate_assignment(model.model_construct(), field, value)


def test_services_name_each_other_and_files_that_are_there() -> None:
    compose = read("compose.yaml")
    services, volumes = compose["services"], set(compose["volumes"])
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, name
            assert how["condition"] != "service_healthy" or "healthcheck" in services[other], name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in volumes or (DEPLOY / source).exists(), f"{name}: {source}"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} is open to the outside"
    named = re.findall(
        r"(?:http|postgresql)://(?:\w+@)?([a-z]+)[:/]", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    )
    assert set(named) <= set(services)
    (target,) = read("prometheus.yml")["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == f"watch:{services['watch']['environment']['LAMPLIGHTER_LIVE__METRICS_PORT']}"
    provider = read("grafana/provisioning/dashboards/lamplighter.yaml")["providers"][0]
    assert any(f":{provider['options']['path']}/" in volume for volume in services["grafana"]["volumes"])


def test_no_secret_stands_in_a_file() -> None:
    for path in documents():
        for name, value in re.findall(
            r"^\s*(\w*(?:PASSWORD|SECRET|TOKEN|ACCESS_KEY)\w*): *(\S.*)$",
            path.read_text(encoding="utf-8"),
            re.MULTILINE,
        ):
            assert value.startswith("${"), f"{path.name}: {name}"
    ignored = subprocess.run(["git", "check-ignore", "deploy/.env"], cwd=ROOT, capture_output=True, check=False)
    assert ignored.returncode in {0, 128}, "deploy/.env can be committed"


def test_the_image_is_called_by_our_version_everywhere() -> None:
    named = {
        name.rstrip("`.") for path in (*documents(), DEPLOY / "Containerfile", ROOT / "docs/how-to/deploy.md")
        for name in _IMAGE.findall(path.read_text(encoding="utf-8"))
    }  # fmt: skip
    assert named == {f"lamplighter:{version()}"}


def steps() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Containerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_copies_what_is_there_and_every_floor() -> None:
    copied = [rest.split() for word, rest in steps() if word == "COPY" and not rest.startswith("--from")]
    sources = [source for words in copied for source in words[:-1]]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {*FLOORS, "configs", "pyproject.toml", "LICENSE", "README.md"} <= set(sources)


def test_the_image_runs_as_nobody_in_particular() -> None:
    words = [word for word, _ in steps()]
    assert dict(steps())["USER"] not in {"root", "0"}
    assert words.index("USER") > max(number for number, word in enumerate(words) if word == "RUN")


@pytest.mark.whole
def test_the_steps_of_the_image_build_the_wheel_it_installs(tmp_path: Path) -> None:
    """Where no engine is: the COPY and RUN of the first stage, in a folder, with what is installed here."""
    source, first = tmp_path / "source", True
    source.mkdir()
    for word, rest in steps()[1:]:
        if word == "FROM":
            if not first:
                break
            first = False
        elif word == "COPY":
            *names, target = rest.split()
            for name in names:
                into = source / target / Path(name).name if target.endswith("/") else source / target
                ignore = shutil.ignore_patterns("__pycache__", "results")
                shutil.copytree(ROOT / name, into, ignore=ignore) if (ROOT / name).is_dir() else shutil.copy(
                    ROOT / name, into
                )
        elif word == "RUN":
            script = rest.replace("/wheel", f"{tmp_path}/wheel").replace("python -m", f"{sys.executable} -m")
            script = re.sub(
                r"&& \S+ -m pip install .*build.txt$",
                "&& grep -q setuptools== build.txt && grep -q sha256 build.txt",
                script,
            )
            done = subprocess.run(["bash", "-euc", script], cwd=source, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr + script
    assert len(list((tmp_path / "wheel").glob(f"lamplighter-{version()}-*.whl"))) == 1
