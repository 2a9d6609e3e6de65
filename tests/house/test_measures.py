"""What the house may never become again, by its own numbers, and that these count what they say."""

import sys
from pathlib import Path

import grimp
import pytest

from tests.house.measures import (
    GATEWAY,
    PACKAGES,
    ROOT,
    Measure,
    Tree,
    decisions,
    main,
    measured,
    shared_names,
    table,
)

# At most so many. A number here only ever becomes smaller: who makes it smaller writes the new one.
AT_MOST = {
    "arrows upwards": 0,
    "circles": 0,
    "excused imports": 0,
    "files over 400 lines": 0,
    "functions over 60 lines": 0,
    "module docstrings to mend": 0,
    "waivers for too many arguments": 0,
}


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree(ROOT)


@pytest.fixture(scope="module")
def rows(tree: Tree) -> dict[str, Measure]:
    return {row.what: row for row in measured(tree)}


@pytest.mark.parametrize("what", AT_MOST)
def test_a_number_never_gets_worse(rows: dict[str, Measure], what: str) -> None:
    found = rows[what].found
    assert len(found) <= AT_MOST[what], "\n".join(found)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_public_classes_share_a_name(tree: Tree, package: str) -> None:
    shared = shared_names(tree, package)
    assert not shared, f"name each for the one thing that it is: {shared}"


def test_each_decision_on_the_way_is_a_class_of_ours(tree: Tree) -> None:
    named = [name for _, names in decisions(tree) for name in names]
    assert named
    gateway = [each.name for each in tree.classes if each.module.startswith(f"src/{GATEWAY}/")]
    assert {name: gateway.count(name) for name in named} == dict.fromkeys(named, 1)


def test_imports_are_those_that_import_linter_sees(tree: Tree) -> None:
    """Beside what it does not see: folders that are no packages, such as migrations."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    theirs = {(one, other) for one in graph.modules for other in graph.find_modules_directly_imported_by(one)}
    assert {(one, other) for one, other in tree.imports if one in graph.modules} == theirs


# --- a small house, with one of each ----------------------------------------------------------------------------------

_FLOORS = """
[[tool.importlinter.contracts]]
type = "layers"
containers = ["zaptrix"]
layers = ["(web)", "bridge", "(whatsapp) | store", "core"]

[[tool.importlinter.contracts]]
type = "layers"
containers = ["zaptrix.bridge"]
layers = ["deliver : tell", "route"]

[[tool.importlinter.contracts]]
type = "layers"
layers = ["zaptrix", "zaptrix_sim"]

[[tool.importlinter.contracts]]
type = "forbidden"
ignore_imports = ["zaptrix.bridge.route.router  ->  zaptrix.whatsapp.parts"]
"""


def house(root: Path, files: dict[str, str]) -> dict[str, Measure]:
    """What is measured of a house of these files, under its `src/zaptrix`."""
    (root / "src" / "zaptrix_sim").mkdir(parents=True)
    (root / "pyproject.toml").write_text(_FLOORS)
    for name, text in files.items():
        path = root / "src" / "zaptrix" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {row.what: row for row in measured(Tree(root))}


def test_a_room_is_a_folder_or_a_module_and_an_arrow_is_counted_once(tmp_path: Path) -> None:
    rows = house(
        tmp_path,
        {
            "bridge/__init__.py": "",
            "bridge/seed.py": "",
            "bridge/empty/page.html": "",
            "bridge/deliver/dispatcher.py": "from zaptrix.bridge.route import router\nimport zaptrix.bridge.route.step",
            "bridge/deliver/settler.py": "def f():\n    from zaptrix.bridge.route.router import Router",
            "bridge/route/router.py": "",
            "bridge/route/step.py": "from zaptrix.bridge.route import router",
            "store/database.py": "",
            "store/migrations/versions/0001_all.py": "",
        },
    )
    assert rows["bridge: rooms"].found == ("deliver", "route", "seed")
    assert rows["bridge: arrows"].found == ("deliver -> route",)
    assert rows["store: rooms"].found == ("database", "migrations")
    assert rows["whatsapp: rooms"].today == "0"


def test_an_arrow_goes_upwards_to_a_higher_floor_or_to_a_neighbour_on_the_same(tmp_path: Path) -> None:
    rows = house(
        tmp_path,
        {
            "core/ports.py": "if TYPE_CHECKING:\n    from zaptrix.store import claims",
            "store/claims.py": "import zaptrix.core.ports\nfrom zaptrix.whatsapp import parts",
            "whatsapp/parts.py": "",
            "bridge/deliver/dispatcher.py": "import zaptrix.bridge.tell.notices\nimport zaptrix.bridge.route.router",
            "bridge/route/router.py": "import zaptrix.bridge.tell.notices\nimport zaptrix_sim",
            "bridge/tell/notices.py": "",
            "worker/worker.py": "import zaptrix.web.site",
            "web/site.py": "",
        },
    )
    assert rows["arrows upwards"].found == (
        "zaptrix.bridge.route.router -> zaptrix.bridge.tell.notices",
        "zaptrix.core.ports -> zaptrix.store.claims",
        "zaptrix.store.claims -> zaptrix.whatsapp.parts",
    )


def test_rooms_go_in_a_circle_even_if_no_two_of_their_modules_do(tmp_path: Path) -> None:
    rows = house(
        tmp_path,
        {
            "bridge/deliver/dispatcher.py": "import zaptrix.bridge.route.router",
            "bridge/deliver/settler.py": "",
            "bridge/route/router.py": "",
            "bridge/route/step.py": "import zaptrix.bridge.deliver.settler",
            "media/a.py": "from zaptrix.media.b import x",
            "media/b.py": "from zaptrix.media.c import x",
            "media/c.py": "from zaptrix.media.a import x\nimport zaptrix.media.d",
            "media/d.py": "",
        },
    )
    assert rows["circles"].found == (
        "zaptrix.bridge.deliver <-> zaptrix.bridge.route",
        "zaptrix.media.a <-> zaptrix.media.b <-> zaptrix.media.c",
    )


def test_an_import_of_a_platform_is_excused_or_a_doors_of_its_webhook(tmp_path: Path) -> None:
    rows = house(
        tmp_path,
        {
            "bridge/route/router.py": "import zaptrix.whatsapp.parts",
            "web/doors/webhooks.py": "import zaptrix.whatsapp.inbound.webhook",
            "web/api/files.py": "from zaptrix.whatsapp import parts",
            "app.py": "import zaptrix.whatsapp.parts",
            "whatsapp/parts.py": "",
            "whatsapp/inbound/webhook.py": "",
        },
    )
    assert rows["excused imports"].found == (
        "zaptrix.bridge.route.router -> zaptrix.whatsapp.parts",
        "zaptrix.web.api.files -> zaptrix.whatsapp.parts",
    )


def test_files_functions_waivers_names_and_docstrings_are_counted(tmp_path: Path) -> None:
    body = "\n".join(["    x = 1"] * 60)
    rows = house(
        tmp_path,
        {
            "core/__init__.py": "",
            "core/one.py": '"""Says what it does, e.g. Counting.\n\nThen why. And how."""\n' + "x = 1\n" * 398,
            "core/two.py": f'"""Two things. Said at once."""\nclass Kept: ...\nasync def long():\n{body}\n',
            "core/three.py": f'"""In two\nlines."""\nclass Kept: ...\nclass _Kept: ...\ndef g():\n{body[10:]}\n',
            "core/four.py": 'def f():  # noqa: S101, PLR0917  # why\n    return "# noqa: PLR0913"',
            "core/five.py": '"""Inner classes are their owner\'s."""\nclass F:\n    class Kept: ...\n',
        },
    )
    assert rows["files over 400 lines"].found == ("src/zaptrix/core/one.py: 401",)
    assert rows["functions over 60 lines"].found == ("src/zaptrix/core/two.py:3: long",)
    assert rows["waivers for too many arguments"].found == ("src/zaptrix/core/four.py:1",)
    assert rows["public classes of one name"].found == ("Kept: src/zaptrix/core/three.py, src/zaptrix/core/two.py",)
    assert rows["module docstrings to mend"].found == ("src/zaptrix/core/four.py", "src/zaptrix/core/two.py")


def test_the_way_into_the_delivery_file_is_what_is_public_there(tmp_path: Path) -> None:
    rows = house(
        tmp_path,
        {
            "bridge/deliver/dispatcher.py": (
                "class Dispatcher:\n"
                "    def __init__(self, claimer: Claimer): ...\n"
                "    def take(self, claims: Sequence[Claim]): ...\n"
                "    def _launch(self, claims: Sequence[Claim]): ...\n"
                "class _Inner:\n"
                "    def judge(self, claim: Claim): ...\n"
                "async def landed(): ...\n"
            )
        },
    )
    assert rows["ways into the delivery file"].found == ("take", "landed")
    assert rows["entries that are handed the message"].found == ("take",)


def test_what_a_tree_does_not_have_is_a_dash_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["measures", "--tree", str(tmp_path), "--list", "circles"])
    main()
    told = capsys.readouterr().out
    assert "| decisions a message meets           |     – |      7 |" in told
    assert told.splitlines()[0].split() == ["|", "what", "|", "today", "|", "target", "|"]
    assert "circles: modules, or rooms of one package" in told


def test_the_table_has_a_line_for_each_measure(rows: dict[str, Measure]) -> None:
    assert len(table(list(rows.values())).splitlines()) == len(rows) + 2
