"""The chart as Helm renders it, and Kubernetes' own schemas to hold it against."""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from ruamel.yaml import YAML

from tests.programs import ROOT, answered, missing, ran

CHART = ROOT / "deploy/helm/zaptrix"
Json = dict[str, Any]

# The APIs that a cluster may have beside its own; whether it has them decides what is rendered.
OPERATOR = "monitoring.coreos.com/v1"

NEEDED: Json = {
    "image": {"repository": "registry.example.com/zaptrix"},
    "publicUrl": "https://gateway.example.com",
    "secrets": {"existingSecret": "zaptrix"},
    "media": {"url": "s3://zaptrix/media"},
    "networkPolicy": {
        "clients": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}]
    },
}
"""What has no default that could work."""


def merged(values: Mapping[str, Any], more: Mapping[str, Any]) -> Json:
    """As Helm lays one file of values over another."""
    both = dict(values)
    for name, value in more.items():
        inner = both.get(name)
        both[name] = merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return both


def rendered(folder: Path, values: Json, *apis: str) -> list[Json]:
    """Every object of the release `shop`, its hooks, too."""
    text = ran("helm", "template", "shop", CHART, "-f", _file(folder, values), *_apis(apis))
    return [found for found in YAML(typ="safe").load_all(_documents(text)) if found]


def refusal(folder: Path, values: Json) -> str:
    """What Helm says when it does not take these values."""
    code, told = answered("helm", "template", "shop", CHART, "-f", _file(folder, values))
    assert code != 0, "it was taken"
    return told


def notes(folder: Path, values: Json) -> str:
    """What is told after an installation, into a cluster without extensions."""
    command = ("install", "shop", CHART, "--dry-run=client", "-f", _file(folder, values))
    return ran("helm", *command).partition("NOTES:\n")[2]


def _file(folder: Path, values: Json) -> Path:
    file = folder / "values.json"  # JSON is YAML, too
    file.write_text(json.dumps(values))
    return file


def _apis(apis: tuple[str, ...]) -> list[str]:
    return [part for api in apis for part in ("--api-versions", api)]


def _documents(text: str) -> str:
    """Helm's own lines, about links in the chart's folder, come through the same stream."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("level="))


def pods(objects: list[Json]) -> Iterator[tuple[str, Json]]:
    """The pods that the objects make: their component and what stands under `spec`."""
    for found in objects:
        if found["kind"] in {"Deployment", "StatefulSet", "Job", "CronJob"}:
            spec = found["spec"]
            template = spec["jobTemplate"]["spec"]["template"] if found["kind"] == "CronJob" else spec["template"]
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template["spec"]


def variables(pod: Json) -> dict[str, str]:
    """What its one container is told."""
    return {each["name"]: each["value"] for each in pod["containers"][0]["env"]}


def one(objects: list[Json], kind: str, name: str) -> Json:
    found = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{kind} {name}: {len(found)}"
    return found[0]


@cache
def _schemas(version: str) -> Json:
    """Of the strict kind: a field that Kubernetes does not know is an error, where it would be left out in silence."""
    places = [Path(place) / "kubernetes_validate/kubernetes-json-schema" for place in sys.path]
    file = next(
        (place / f"v{version}.0-local-strict/_definitions.json" for place in places if place.is_dir()), None
    ) or missing("kubernetes-validate, which carries Kubernetes' schemas, is not installed: `make tools`")
    definitions: Json = json.loads(file.read_text())["$defs"]
    return definitions


@cache
def _validator(version: str, api: str, kind: str) -> jsonschema_rs.Draft202012Validator | None:
    group, _, number = api.rpartition("/")
    wanted = {"group": group, "version": number, "kind": kind}
    for name, schema in _schemas(version).items():
        if wanted in schema.get("x-kubernetes-group-version-kind", ()):
            return jsonschema_rs.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": _schemas(version)})
    return None


def faults(found: Json, version: str) -> list[str]:
    """What Kubernetes of that version would not take. Of an extension, which it does not know, nothing is said."""
    group = found["apiVersion"].partition("/")[0]
    if group in {OPERATOR.partition("/")[0], "gateway.networking.k8s.io"}:
        return []
    validator = _validator(version, found["apiVersion"], found["kind"])
    name = f"{found['kind']} {found['metadata']['name']}"
    if validator is None:
        return [f"{name}: Kubernetes {version} has no {found['apiVersion']}"]
    return [f"{name}: {fault.instance_path}: {fault.message}" for fault in validator.iter_errors(found)]
