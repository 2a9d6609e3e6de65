"""The documents stay true with the code: what they name is there."""

import ast
import re
from pathlib import Path

import pytest

from zaptrix.settings import KINDS, Settings

ROOT = Path(__file__).parents[2]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SCREENSHOT_BYTES_MAX = 1_500_000
ARCHITECTURE = ROOT / "docs" / "ARCHITECTURE.md"
ABOUT_THE_CODE = [ARCHITECTURE, ROOT / "docs" / "INTERNALS.md", ROOT / "docs" / "FLOWS.md"]
PROSE_WORDS_MAX = 1_000  # five minutes, with time to look at the tables and the picture


def _functions() -> set[str]:
    """The name of every test function."""
    sources = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for source in sources for name in re.findall(r"def (test_\w+)", source)}


def test_every_test_that_they_name_is_there() -> None:
    text = "\n".join(page.read_text() for page in ABOUT_THE_CODE)
    named = re.findall(r"\b(test_\w+?)(…?)(?=[`:,. ])", text.replace("test_*.py", ""))
    functions, files = _functions(), {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    missing = [
        name + more
        for name, more in named
        if not any(known.startswith(name) if more else known == name for known in functions | files)
    ]
    assert named
    assert missing == []


@pytest.mark.parametrize("page", ABOUT_THE_CODE, ids=lambda page: page.stem)
def test_every_file_that_it_names_is_there(page: Path) -> None:
    named = set(re.findall(r"`((?:\w+/)+\w+\.(?:py|lua))", page.read_text()))
    roots = (ROOT / "src" / "zaptrix", ROOT / "tests", ROOT)
    assert named
    assert [name for name in sorted(named) if not any((root / name).exists() for root in roots)] == []


def test_the_architecture_is_read_in_five_minutes() -> None:
    prose = [line for line in ARCHITECTURE.read_text().splitlines() if not line.startswith(("|", " ", "`"))]
    assert sum(len(line.split()) for line in prose) < PROSE_WORDS_MAX


def test_every_room_is_in_the_architecture() -> None:
    """A room is a package: what has an `__init__.py`."""
    source = ROOT / "src" / "zaptrix"
    rooms = {path.parent.relative_to(source).as_posix() for path in source.rglob("__init__.py")} - {"."}
    text = ARCHITECTURE.read_text()
    assert [room for room in sorted(rooms) if f"`{room}/`" not in text] == []


def test_the_architecture_says_of_a_room_what_its_docstring_says() -> None:
    source = ROOT / "src" / "zaptrix"
    rows = re.findall(r"^\| `((?:\w+/)+)` \| (.+) \|$", ARCHITECTURE.read_text(), re.MULTILINE)
    said = {room: ast.get_docstring(ast.parse((source / room / "__init__.py").read_text())) or "" for room, _ in rows}
    assert rows
    assert {room: " ".join(text.split()) for room, text in said.items()} == dict(rows)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)\)", page.read_text())
    local = [link for link in links if not link.startswith(("http://", "https://"))]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_each_screenshot_is_shown_by_a_document_and_they_stay_small() -> None:
    pictures = list((ROOT / "docs" / "screenshots").glob("*.png"))
    shown = {Path(name).name for page in DOCS for name in re.findall(r"!\[[^]]+\]\(([^)\s]+)\)", page.read_text())}
    assert pictures
    assert {picture.name for picture in pictures} == shown
    assert sum(picture.stat().st_size for picture in pictures) < SCREENSHOT_BYTES_MAX


GLOSSARY_WORDS_MAX = 40
# A word of the glossary as code and documents write it, where that is not the word itself.
WRITTEN = {"open line": "open line|line_id", "back-off": "back-?off", "dead letter": "dead[ _-]letter"}


def glossary() -> list[str]:
    rows = re.findall(r"^\| ([^|]+?) \|", (ROOT / "docs" / "GLOSSARY.md").read_text(), re.MULTILINE)
    return [row for row in rows if row != "word" and not re.fullmatch(r"-+", row)]


def test_the_glossary_has_at_most_forty_words_each_once() -> None:
    words = glossary()
    assert 20 < len(words) <= GLOSSARY_WORDS_MAX
    assert len(words) == len({word.lower() for word in words})


def test_each_word_of_the_glossary_is_used_in_code_and_documents() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "src" / "zaptrix").rglob("*.py")).lower()
    pages = "\n".join(page.read_text() for page in DOCS if page.name != "GLOSSARY.md").lower()
    patterns = {word: re.compile(rf"\b(?:{WRITTEN.get(word, re.escape(word))})") for word in glossary()}
    assert [word for word, pattern in patterns.items() if not (pattern.search(code) and pattern.search(pages))] == []


@pytest.mark.parametrize("page", ["README.md", "README.pt-BR.md"])
def test_the_defaults_that_a_readme_tells_are_those_of_the_settings(page: str) -> None:
    """Those that are numbers or words; the others are told in sentences."""
    rows = re.findall(
        r"^\| (`[A-Z][A-Z_]+`(?:, `[A-Z][A-Z_]+`)*) \| ([^|]+) \|", (ROOT / page).read_text(), re.MULTILINE
    )
    told = {
        name.strip("`"): default
        for names, defaults in rows
        for name, default in zip(names.split(", "), defaults.split(", "), strict=False)
        if re.fullmatch(r"[\w.]+", default) and not KINDS[name.strip("`")].secret
    }
    ours = {name: getattr(Settings(), name.lower()) for name in told}
    # What is empty when it is not set has a word for it.
    written = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in ours.items()
        if value or value == 0
    }
    assert len(written) > 20
    assert {name: told[name] for name in written} == written


def test_both_readmes_have_the_same_commands_and_settings() -> None:
    english, portuguese = ((ROOT / name).read_text() for name in ("README.md", "README.pt-BR.md"))
    for pattern in (r"`([A-Z][A-Z_]{3,})`", r"`(zaptrix [a-z-]+)", r"^(make \w+)"):
        assert set(re.findall(pattern, english, re.MULTILINE)) == set(re.findall(pattern, portuguese, re.MULTILINE))


ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


@pytest.mark.parametrize("record", ADRS, ids=lambda record: record.name[:4])
def test_a_decision_is_listed_and_says_in_its_first_line_when_it_is_overtaken(record: Path) -> None:
    number, lines = record.name[:4], record.read_text().splitlines()
    assert re.fullmatch(rf"# {number}\. [^a-z].*[^.]", lines[0])
    (listed,) = re.findall(rf"^\| \[{number}\]\({re.escape(record.name)}\) \| (.+) \|$", ADRS_LISTED, re.MULTILINE)
    note = lines[2] if lines[2].startswith("*Overtaken ") else ""
    assert bool(note) == ("overtaken by" in listed)
    assert ("overtaken" in "\n".join(lines).lower()) == bool(note)
    if note:
        (first,) = re.findall(r"^\*Overtaken (?:in part )?by \[(\d{4})\]", note)
        assert number < first


ADRS_LISTED = (ROOT / "docs" / "adr" / "README.md").read_text()
LOCKED_IN_ORDER = re.compile(
    r"ORDER BY [\w.]+ FOR (?:NO KEY )?UPDATE(?! SKIP)(?! OF)|LATERAL \([^)]*FOR NO KEY UPDATE\)"
)


def test_whoever_locks_several_rows_refers_to_the_lock_order() -> None:
    """In the lines above, so that whoever changes the statement reads the record."""
    silent = []
    for path in sorted((ROOT / "src" / "zaptrix" / "store").rglob("*.py")):
        text = path.read_text()
        if LOCKED_IN_ORDER.search(text) and "docs/adr/0034" not in text:
            silent.append(path.name)
    assert silent == []


def test_every_file_and_folder_that_contributing_names_is_there() -> None:
    """Paths begin at `src/zaptrix/`, or where the page says; `fr.toml` is the one of its example."""
    named = set(re.findall(r"`((?:[\w.-]+/)+(?:[\w.-]+\.\w+)?)`", (ROOT / "CONTRIBUTING.md").read_text()))
    roots = (ROOT / "src" / "zaptrix", ROOT / "src", ROOT)
    missing = [name for name in sorted(named) if not any((root / name).exists() for root in roots)]
    assert missing == ["core/wording/fr.toml"]


def test_every_name_of_the_code_that_contributing_gives_with_its_file_is_there() -> None:
    """As in "`whatsapp/inbound/kinds.py`: ..., in `_READERS`": the names stand in one of the files of their step."""
    steps = re.split(r"\n(?=\d\. |#|\*)", (ROOT / "CONTRIBUTING.md").read_text().partition("## How to add")[2])
    absent = []
    for step in steps:
        files = re.findall(r"`((?:\w+/)+\w+\.py)`", step)
        text = "\n".join(path.read_text() for path in _of_source(files))
        absent += [name for name in re.findall(r"`(_[A-Za-z_]+|[a-z]+_of|kinds_router)`", step) if name not in text]
    assert absent == []


def _of_source(files: list[str]) -> list[Path]:
    roots = (ROOT / "src" / "zaptrix", ROOT / "src", ROOT)
    return [root / name for name in files for root in roots if (root / name).exists()]
