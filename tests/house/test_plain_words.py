"""What users read is plain: texts, the API's description and the commands' help, in both languages."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from zaptrix.core.wording import catalog
from zaptrix.core.wording.catalog import Locale
from zaptrix.web.http import problems

SRC = Path(__file__).resolve().parents[2] / "src" / "zaptrix"
# Riddles that stood in titles and details once, or would fit beside them.
FORBIDDEN = re.compile(
    r"\bno such thing\b|\bnobody (?:we|that we) knows?\b|\bwho(?:m)? nobody knows\b|\bis it well\b|\bplace on earth\b"
    r"|\btaken already\b|\bnobody hears\b|\bbells? that\b|\bn[ãa]o conhecemos\b|\bningu[ée]m ouve\b"
    r"|\best[áa] bem\?|\btal (?:coisa|evento)\b|\blugar (?:na|de la) tierra\b|\bnadie oye\b",
    re.IGNORECASE,
)
# Metaphors that a reader of the code would have to learn. `web/doors` is a folder's name, and `tests/house` another's.
METAPHORS = re.compile(
    r"(?<![/.])\b(?:houses?|doors?|drawers?|knock(?:s|ed|ing)?|strangers?)\b"
    r"|\b(?:this|each|every|whatsapp|bitrix24) room\b"
    r"|\bnobody (?:we|that we) knows?\b|\bwindows? on the world\b",
    re.IGNORECASE,
)
TITLES = {
    401: ("Authentication required", "Autenticação necessária"),
    404: ("Not found", "Não encontrado"),
    405: ("Method not allowed", "Método não permitido"),
    429: ("Too many requests", "Requisições demais"),
    503: ("Temporarily unavailable", "Indisponível no momento"),
}
KINDS = [each for each in vars(problems).values() if isinstance(each, problems.ProblemKind)]


def shown_by_code() -> Iterator[tuple[str, str]]:
    """Texts that stand in code and are shown: summaries and descriptions of the API, the commands' help, and the
    docstrings of handlers and commands, which become descriptions."""
    for path in [*sorted((SRC / "web").rglob("*.py")), *sorted((SRC / "cli").rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(SRC)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.keyword) and node.arg in {"summary", "description", "help"}:
                yield from ((where, str(each.value)) for each in ast.walk(node) if isinstance(each, ast.Constant))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.decorator_list:
                yield where, ast.get_docstring(node) or ""


def explained(text: str) -> Iterator[tuple[int, str]]:
    """The docstrings and comments of a module, each with the line that it begins in."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value


def test_there_are_problems() -> None:
    assert len(KINDS) > 15


@pytest.mark.parametrize("status", TITLES)
def test_the_title_of_a_common_status_is_the_plain_one(status: int) -> None:
    kind = problems.BY_STATUS[HTTPStatus(status)]
    assert (kind.title.of(Locale.EN), kind.title.of(Locale.PT_BR)) == TITLES[status]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_title_is_short_and_stands_in_each_language_in_its_own_words(kind: problems.ProblemKind) -> None:
    """A title is one phrase without a full stop or a question (RFC 9457, 3.1.3), and names no value."""
    assert kind.title.of(Locale.EN) != kind.title.of(Locale.PT_BR)
    for locale in Locale:
        assert re.fullmatch(r"[^\W\d_][^.?!{}]{3,50}", kind.title.of(locale)), locale


@pytest.mark.parametrize("locale", list(Locale))
def test_no_text_is_a_riddle(locale: Locale) -> None:
    assert [key for key in catalog.all_keys(locale) if FORBIDDEN.search(catalog.text_of(key, locale))] == []


def test_neither_the_api_nor_the_commands_describe_themselves_in_riddles() -> None:
    shown = list(shown_by_code())
    assert len(shown) > 100
    assert [where for where, text in shown if FORBIDDEN.search(text)] == []


def test_no_docstring_or_comment_speaks_in_metaphors() -> None:
    found = [
        f"{path.relative_to(SRC)}:{line}: {words[0]}"
        for path in sorted(SRC.rglob("*.py"))
        for line, text in explained(path.read_text(encoding="utf-8"))
        if (words := METAPHORS.search(text))
    ]
    assert found == [], "say it in the field's words"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('"""What the house tells."""', [1]),
        ("x = 1\n# runs beside the doors", [2]),
        ('class A:\n    b: int\n    """Each room\'s own."""', [3]),
        ("# as `web/doors/webhooks.py` has it, and web.doors; tests/house holds it", []),
        ("doors = 'the house'  # there is room for one more", []),
    ],
)
def test_a_metaphor_is_found_in_what_explains_and_not_in_code(source: str, lines: list[int]) -> None:
    assert [line for line, text in explained(source) if METAPHORS.search(text)] == lines
