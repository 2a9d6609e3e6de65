"""What a developer's day is made of is there and works: environment, hook, quick tests, container, templates."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from tests import pure
from tests.imports import Imports
from tests.watch import next_to

ROOT = Path(__file__).resolve().parents[2]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
TEMPLATES = [*FORMS, ROOT / ".github" / "pull_request_template.md"]
HABITS = ("dev", "watch", "test-fast", "house", "check", "fmt")
# What no template or container may hold: keys of both platforms, webhooks with a key in them, telephone numbers.
SECRETS = re.compile(r"EAA\w{20,}|/rest/\d+/\w+|\b[0-9a-f]{32,}\b|\+?\b55\d{10,11}\b|BEGIN [A-Z ]*PRIVATE KEY")
HOSTS = re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.(?:io|com|dev|org|net)/[\w-]")


@pytest.mark.parametrize("target", HABITS)
def test_each_habit_is_a_target_and_contributing_tells_of_it(target: str) -> None:
    assert re.search(rf"^{target}:.* ## \w", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.search(rf"^make {target} +# ", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)


def test_the_container_is_built_from_a_dockerfile_beside_it_and_runs_make_dev() -> None:
    folder = ROOT / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text())
    dockerfile = (folder / container["build"]["dockerfile"]).read_text()
    assert container["postCreateCommand"] == "make dev"
    [image] = re.findall(r"^FROM (\S+)$", dockerfile, re.MULTILINE)
    assert re.fullmatch(r"python:3\.\d+-bookworm", image)
    assert re.search(rf"^RUN useradd .*--uid 1000 .* {container['remoteUser']}$", dockerfile, re.MULTILINE)
    assert "USER 1000" in dockerfile.splitlines()


@pytest.mark.parametrize("form", [form for form in FORMS if form.name != "config.yml"], ids=lambda form: form.name)
def test_an_issue_form_is_one_and_warns_in_both_languages(form: Path) -> None:
    read = yaml.safe_load(form.read_text())
    assert {"name", "description", "body"} <= read.keys()
    ids = [part["id"] for part in read["body"] if part["type"] != "markdown"]
    assert len(set(ids)) == len(ids) > 0
    assert all(part["attributes"].get("label") for part in read["body"] if part["type"] != "markdown")
    [first, *_] = read["body"]
    assert "Never paste tokens" in first["attributes"]["value"]
    assert "Nunca cole tokens" in " ".join(first["attributes"]["value"].split())


def test_a_report_of_a_fault_has_what_the_search_for_it_needs() -> None:
    read = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text())
    required = {part["id"]: part.get("validations", {}).get("required", False) for part in read["body"] if "id" in part}
    assert {name for name, needed in required.items() if needed} >= {"version", "doctor"}
    assert "requests" in required


@pytest.mark.parametrize(
    "file", [*TEMPLATES, *(ROOT / ".devcontainer").iterdir()], ids=lambda file: file.relative_to(ROOT).as_posix()
)
def test_no_template_holds_a_secret_or_names_a_registry(file: Path) -> None:
    assert SECRETS.findall(file.read_text()) == HOSTS.findall(file.read_text()) == []


# --- the hook ---------------------------------------------------------------------------------------------------------


def committed(repository: Path, staged: dict[str, str], afterwards: dict[str, str] | None = None) -> tuple[int, str]:
    """What the hook said of a commit: its exit code and its words."""
    git(repository, "init", "-q")
    git(repository, "config", "core.hooksPath", str(ROOT / ".githooks"))
    (repository / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    _write(repository, staged.items())
    git(repository, "add", "--", *staged)
    _write(repository, (afterwards or {}).items())
    ran = git(repository, "-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "-qm", "Try")
    return ran.returncode, ran.stdout + ran.stderr


def git(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("git") or "git", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, timeout=60)


def _write(repository: Path, files: Iterable[tuple[str, str]]) -> None:
    for name, text in files:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text(text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


@pytest.mark.parametrize(
    ("staged", "afterwards", "said"),
    [
        pytest.param({"src/a.py": "x = 1\n"}, {}, None, id="clean"),
        pytest.param({"src/a.py": "x=1\n"}, {}, "src/a.py is not formatted", id="not formatted"),
        pytest.param({"src/a.py": "import os\n"}, {}, "F401", id="a rule of ruff's"),
        pytest.param(
            {"src/with space.py": "x=1\n"}, {}, "src/with space.py is not formatted", id="a name with a space"
        ),
        pytest.param({"src/a.py": "x = 1\n"}, {"src/a.py": "x=2\n"}, None, id="only what is staged counts"),
        pytest.param({"src/a.py": "x=1\n"}, {"src/a.py": "x = 1\n"}, "not formatted", id="mended and not staged"),
        pytest.param({"a.txt": "x=1\n"}, {"b.py": "x=1\n"}, None, id="no Python in it"),
        pytest.param({"tests/test_a.py": 'print("x")\n'}, {}, None, id="rules by folder hold"),
        pytest.param({"src/a.py": 'print("x")\n'}, {}, "T201", id="and elsewhere, too"),
    ],
)
def test_the_hook_refuses_what_ruff_refuses(
    repository: Path, staged: dict[str, str], afterwards: dict[str, str], said: str | None
) -> None:
    code, told = committed(repository, staged, afterwards)
    assert (code == 0, (said or "") in told) == (said is None, True), told


def test_without_an_environment_the_hook_says_so_and_lets_a_commit_through(tmp_path: Path) -> None:
    code, told = committed(tmp_path, {"a.py": "x=1\n"})
    assert code == 0
    assert "make dev" in told


# --- which tests ------------------------------------------------------------------------------------------------------


def test_pure_are_the_tests_of_rules_and_translations_and_none_that_has_servers() -> None:
    chosen = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py") if pure.is_pure(path)}
    assert all(path in chosen for path in _tests("core"))
    assert {"tests/flows", "tests/page"}.isdisjoint(str(Path(path).parent) for path in chosen)
    translations = {path for path in chosen if "translat" in path or "markup" in path}
    assert {path.split("/")[1] for path in translations} >= {"whatsapp", "bitrix24"}


def _tests(room: str) -> list[str]:
    found = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests" / room).rglob("test_*.py")]
    assert found
    return found


def test_what_imports_what_starts_something_is_not_pure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pure, "ROOT", tmp_path)
    files = {
        "tests/test_pure.py": "import json\nfrom zaptrix.store import database\n",
        "tests/test_server.py": "from tests.stage import world\n",
        "tests/test_late.py": "def test_it():\n    import subprocess\n",
        "tests/test_named_alike.py": "import subprocessing\n",
        "tests/stage.py": "from tests.deeper.steps import go\n",
        "tests/deeper/steps.py": "from aiohttp import web\nimport tests.stage\n",
    }
    _write(tmp_path, files.items())
    pure._file.cache_clear()
    found = {path.name for path in (tmp_path / "tests").glob("test_*.py") if pure.is_pure(path)}
    pure._file.cache_clear()
    assert found == {"test_pure.py", "test_named_alike.py"}


def test_next_to_a_file_are_the_nearest_tests_by_imports(tmp_path: Path) -> None:
    files = {
        "src/zaptrix/pace.py": 'SCRIPT = "pace.lua"\n',
        "src/zaptrix/calls.py": "from zaptrix import pace\n",
        "src/zaptrix/app.py": "import zaptrix.calls\n",
        "src/zaptrix/lonely.py": "",
        "tests/house.py": "from zaptrix.calls import Calls\n",
        "tests/test_pace.py": "from zaptrix.pace import SCRIPT\n",
        "tests/test_paces.py": "from zaptrix.pace import SCRIPT\n",
        "tests/test_pace_of_portals.py": "from zaptrix.pace import SCRIPT\n",
        "tests/flows/test_flow.py": "from tests.house import world\n",
    }
    _write(tmp_path, files.items())
    imports = Imports(tmp_path)
    named = ["tests/test_pace.py", "tests/test_pace_of_portals.py"]
    assert next_to(imports, ["src/zaptrix/pace.py"]) == named
    assert next_to(imports, ["src/zaptrix/pace.lua"]) == [*named, "tests/test_paces.py"]
    assert next_to(imports, ["src/zaptrix/calls.py"]) == ["tests/flows/test_flow.py"]
    assert next_to(imports, ["tests/house.py", "tests/test_pace.py"]) == [
        "tests/flows/test_flow.py",
        "tests/test_pace.py",
    ]
    assert next_to(imports, ["src/zaptrix/lonely.py", "src/zaptrix/gone.py"]) == []
    assert next_to(imports, ["docs/ARCHITECTURE.md", "README.md"]) == ["tests/house"]
