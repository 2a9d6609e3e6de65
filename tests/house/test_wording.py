"""The texts for people: whole in every language, and what the code asks for, no less and no more."""

import ast
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from string import Formatter

import pytest

from zaptrix.core.wording import catalog
from zaptrix.core.wording.catalog import Locale, Sentence
from zaptrix.core.wording.notices import notice_text
from zaptrix.settings import Settings
from zaptrix.web.http import problems

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "zaptrix").rglob("*.py"))
WORDING = Path(catalog.__file__).parent
OTHER = dict(zip(Locale, [*list(Locale)[1:], Locale.PT_BR], strict=True))
# Keys that no source names: what platforms and libraries call things, and tables that are read whole.
UNNAMED = re.compile(
    r"phrases\.(pay_\w+|last_four_digits|credential_id|poll_creation|poll_update|group_invite|media_placeholder|pin"
    r"|keep_in_chat|link_preview|hsm)|doctor\.headings\.\w+|api\.types\.\w+"
)
ENGLISH = {key: catalog.text_of(key, Locale.EN) for key in catalog.all_keys()}


def asked(reader: str) -> Iterator[tuple[str, ast.Call]]:
    """Every key in a call of a reader, `*` where a part of it is only known when it runs."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == reader and node.args:
                match node.args[0]:
                    case ast.Constant(str(key)):
                        yield key, node
                    case ast.JoinedStr(parts):
                        yield (
                            "".join(str(part.value) if isinstance(part, ast.Constant) else "*" for part in parts),
                            node,
                        )


def fields(text: str) -> dict[str, str]:
    """Each value in a text, and how it is written."""
    return {name: f"{kind}:{form}" for _, name, form, kind in Formatter().parse(text) if name is not None}


def constants() -> set[str]:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES)
    return {
        node.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def filled_in(pattern: str, key: str) -> list[str]:
    """What stands where the pattern has a star."""
    found = re.fullmatch(re.escape(pattern).replace(r"\*", "([^.]+)"), key)
    return list(found.groups()) if found else []


def is_like(pattern: str, key: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[^.]+"), key) is not None


@pytest.mark.parametrize("locale", [locale for locale in Locale if locale is not Locale.EN])
def test_a_language_says_all_and_with_the_same_values(locale: Locale) -> None:
    said = {key: catalog.text_of(key, locale) for key in catalog.all_keys(locale)}
    assert said.keys() == ENGLISH.keys()
    assert {key: fields(text) for key, text in said.items()} == {key: fields(text) for key, text in ENGLISH.items()}
    assert [key for key, text in said.items() if not text.strip() or text != text.strip(" \n")] == []


@pytest.mark.parametrize("locale", Locale)
def test_a_language_is_written_by_its_own_rules(locale: Locale) -> None:
    """No key twice, and no text of another language left in its place by mistake."""
    same = [key for key, text in ENGLISH.items() if text == catalog.text_of(key, locale) and len(text.split()) > 4]
    assert locale is Locale.EN or same == []


def test_no_source_asks_for_a_text_that_is_not_there() -> None:
    exact = [key for reader in ("Sentence", "text_of") for key, _ in asked(reader)]
    assert [key for key in exact if not any(is_like(key, each) for each in ENGLISH)] == []
    assert [key for key, _ in asked("section") if not any(each.startswith(f"{key}.") for each in ENGLISH)] == []


def test_no_text_is_there_that_no_source_asks_for() -> None:
    exact = {key for reader in ("Sentence", "text_of") for key, _ in asked(reader)}
    sections = [key for key, _ in asked("section")]
    named = constants()

    def is_asked(key: str) -> bool:
        if any(is_like(each, key) and set(filled_in(each, key)[:1]) <= named for each in exact):
            return True
        rests = [key.removeprefix(f"{each}.") for each in sections if key.startswith(f"{each}.")]
        return any(rest in named or rest.partition(".")[0] in named for rest in rests) or bool(UNNAMED.fullmatch(key))

    assert [key for key in ENGLISH if not is_asked(key)] == []


def test_a_file_is_all_that_a_language_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(WORDING, tmp_path / "wording_of_a_test")
    (tmp_path / "wording_of_a_test" / "pt-PT.toml").write_bytes((WORDING / "pt-BR.toml").read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    found = import_module("wording_of_a_test.catalog")
    assert {locale.value for locale in found.Locale} == {*Locale, "pt-PT"}
    assert found.Sentence("fields.missing").of(found.Locale("pt-PT")) == "falta"


@pytest.mark.parametrize("locale", Locale)
def test_a_language_is_offered_wherever_one_is_chosen(locale: Locale) -> None:
    assert Settings.from_env({"DEFAULT_LOCALE": locale.lower()}).default_locale == locale
    document = problems.no_such("portal").document(path="/", request_id="1", locale=locale)
    assert json.loads(document)["title"] == catalog.text_of("problems.not-found", locale)
    assert notice_text("own_number", {"code": "131021"}, locale) != notice_text(
        "own_number", {"code": "131021"}, OTHER[locale]
    )


def test_the_files_of_all_languages_are_installed_with_the_code() -> None:
    """Setuptools leaves out of a wheel what no pattern names."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"][
        "zaptrix"
    ]
    assert f"**/*{catalog.SUFFIX}" in patterns


def test_a_sentence_is_given_the_values_that_its_text_names() -> None:
    wrong = [
        key
        for key, call in asked("Sentence")
        if len(call.args) > 1
        and isinstance(call.args[1], ast.Dict)
        and {name.value for name in call.args[1].keys if isinstance(name, ast.Constant)} != fields(ENGLISH[key]).keys()
    ]
    assert wrong == []


def test_a_sentence_is_told_with_its_values_in_any_language() -> None:
    within = Sentence("fields.too_long", {"limit": "{limit}"})
    assert within.of(Locale.EN) == "is longer than {limit} characters"
    with pytest.raises(KeyError):
        Sentence("fields.never_written")
