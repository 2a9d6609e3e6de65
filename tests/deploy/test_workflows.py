"""GitHub's workflows: what linters find, and the house's own rules for them."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.programs import ROOT, answered, ran

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))

Json = dict[str, Any]


def workflow(path: Path) -> Json:
    found: Json = YAML(typ="safe").load(path)
    return found


def jobs() -> Iterator[tuple[str, Json]]:
    for path in WORKFLOWS:
        for name, job in workflow(path)["jobs"].items():
            yield f"{path.stem}/{name}", job


def test_actionlint_finds_nothing() -> None:
    """Expressions, types of inputs, labels of runners; and by shellcheck what the steps run."""
    assert ran("shellcheck", "--version")
    assert ran("actionlint", *WORKFLOWS) == ""


def test_zizmor_finds_nothing() -> None:
    """How a stranger could make use of them."""
    assert "No findings to report" in ran("zizmor", "--offline", "--no-progress", "--persona", "pedantic", GITHUB)


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", "workflows/*.yml"),
        ("dependabot", "dependabot.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_they_are_what_githubs_schemas_say(schema: str, files: str) -> None:
    ran("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *GITHUB.glob(files))


@pytest.mark.parametrize(
    ("linter", "slip", "words"),
    [
        ("actionlint", ("${{ matrix.python }}", "${{ matrix.pyhton }}"), 'property "pyhton" is not defined'),
        ("actionlint", ('"$GITHUB_WORKSPACE"', "$GITHUB_WORKSPACE"), "SC2086"),
        ("zizmor", ('"$GITHUB_WORKSPACE"', "${{ github.head_ref }}"), "template-injection"),
        ("zizmor", ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"), "unpinned-uses"),
        ("zizmor", ("persist-credentials: false", "fetch-depth: 1"), "artipacked"),
    ],
)
def test_the_linters_would_find_what_is_wrong(tmp_path: Path, linter: str, slip: tuple[str, str], words: str) -> None:
    """Else their silence would say nothing."""
    text = (GITHUB / "workflows" / "ci.yml").read_text()
    assert slip[0] in text
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "ci.yml").write_text(text.replace(*slip))
    options = ("--offline", "--no-progress") if linter == "zizmor" else ()
    code, told = answered(linter, *options, folder / "ci.yml")
    assert code != 0
    assert words in told


def test_every_action_is_one_commit_under_its_version() -> None:
    """A tag can be moved to other code, a commit cannot; one action is the same one everywhere."""
    used = [line for path in WORKFLOWS for line in re.findall(r"uses: (.+)", path.read_text())]
    foreign = [line for line in used if not line.startswith("./")]
    assert foreign
    assert [line for line in foreign if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []
    commits: dict[str, set[str]] = {}
    for line in foreign:
        name, _, commit = line.partition("@")
        commits.setdefault("/".join(name.split("/")[:2]), set()).add(commit)
    assert {name: found for name, found in commits.items() if len(found) > 1} == {}


def test_a_job_may_do_no_more_than_it_says_and_ends() -> None:
    for path in WORKFLOWS:
        assert workflow(path)["permissions"] == {}, path.name
    for name, job in jobs():
        assert job["permissions"], name
        assert "uses" in job or job["timeout-minutes"] <= 90, name
    writing = {name for name, job in jobs() if "write" in job["permissions"].values()}
    assert writing == {"codeql/analyze", "release/publish", "release/page", "release/deploy"}
    signing = {name for name, job in jobs() if "id-token" in job["permissions"]}
    assert signing == {"release/publish"}


def test_pull_requests_meet_no_secret() -> None:
    for path in WORKFLOWS:
        triggers = workflow(path)["on"]
        assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(triggers), path.name
        if "pull_request" in triggers:
            assert "secrets." not in path.read_text(), path.name


def test_every_python_that_the_package_allows_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bounds = re.fullmatch(r">=3\.(\d+),<3\.(\d+)", project["requires-python"])
    assert bounds
    allowed = [f"3.{minor}" for minor in range(int(bounds[1]), int(bounds[2]))]
    ci = workflow(GITHUB / "workflows" / "ci.yml")["jobs"]
    assert ci["test"]["strategy"]["matrix"]["python"] == allowed
    [check] = [
        step["with"]["python-version"] for step in ci["check"]["steps"] if "setup-python" in step.get("uses", "")
    ]
    assert check == allowed[0]
    others = {step["with"]["python-version"] for _, job in jobs() for step in job.get("steps", ())
              if "setup-python" in step.get("uses", "")}  # fmt: skip
    assert others <= set(allowed)


def test_what_they_run_is_in_this_repository() -> None:
    """They call the Makefile, so that a person can do the same."""
    targets = set(re.findall(r"^([.\w/-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    runs = [step["run"] for _, job in jobs() for step in job.get("steps", ()) if "run" in step]
    made = {name for run in runs for name in re.findall(r"\bmake ([.\w/-]+)", run)}
    assert {"check", "tools", "dist", ".venv/ready"} == made <= targets
    scripts = {name for run in runs for name in re.findall(r"\bbash (\S+)", run)}
    assert scripts == {".ci/run", ".github/everything-works.sh"}
    assert all((ROOT / name).is_file() for name in scripts)


def test_no_registry_is_named() -> None:
    """Where images go is each house's own: a variable."""
    hosts = r"\b[\w-]+(?:\.[\w-]+)*\.(?:io|com|dev|org|net)/[\w-]"
    for path in [*GITHUB.rglob("*.yml"), *GITHUB.rglob("*.sh")]:
        assert re.findall(hosts, path.read_text()) == [], path.name


def test_nothing_is_deployed_before_somebody_said_so() -> None:
    deploy = workflow(GITHUB / "workflows" / "deploy.yml")
    assert set(deploy["on"]) == {"workflow_dispatch"}
    [job] = deploy["jobs"].values()
    assert job["environment"] == "production"
    runs = [step.get("run", "") for step in job["steps"]]
    verified = next(place for place, run in enumerate(runs) if "cosign verify" in run)
    upgraded = next(place for place, run in enumerate(runs) if "helm upgrade" in run)
    assert verified < upgraded
    assert "--rollback-on-failure" in runs[upgraded]


def test_a_release_is_tested_signed_and_told_what_it_is_made_of() -> None:
    release = workflow(GITHUB / "workflows" / "release.yml")["jobs"]
    assert release["ci"]["uses"] == "./.github/workflows/ci.yml"
    assert set(release["publish"]["needs"]) == {"ci", "build"}
    steps = release["publish"]["steps"]
    [image] = [step["with"] for step in steps if "build-push-action" in step.get("uses", "")]
    assert (image["sbom"], image["provenance"]) == (True, "mode=max")
    assert json.dumps(steps).count("cosign sign --yes") == 2
    assert sum("actions/attest@" in step.get("uses", "") for step in steps) == 2
