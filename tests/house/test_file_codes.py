"""Each code that the way of a file can raise has a row, which says the same as the error does."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from zaptrix.bitrix24.portal import disk
from zaptrix.bridge.files import preparer, sources
from zaptrix.core.wording.error_codes import ErrorClass, notice_of, own_rule
from zaptrix.media import blobs, fetch, file_type, reach, signed_links, voice, voice_recoder
from zaptrix.worker import fetching

MODULES: tuple[ModuleType, ...] = (
    blobs,
    fetch,
    signed_links,
    reach,
    voice_recoder,
    file_type,
    voice,
    sources,
    preparer,
    fetching,
    disk,
)
KINDS = {
    "Refused": ErrorClass.REFUSED,
    "Unavailable": ErrorClass.UNAVAILABLE,
    "TooFast": ErrorClass.TOO_FAST,
    "Unexpected": ErrorClass.UNEXPECTED,
    "Unclear": ErrorClass.UNCLEAR,
}
SAMPLE = "500"  # of an HTTP status in a code
INNER = frozenset({"no_result"})  # never leaves the module: it becomes another code there


def raised() -> Iterator[tuple[str, ErrorClass, str | None]]:
    """Code, kind and notice of every error that is made in these modules."""
    for module in MODULES:
        tree = ast.parse(Path(inspect.getfile(module)).read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in KINDS:
                for code in codes_of(call.args[0]):
                    yield code, KINDS[call.func.id], notice_told(call)


def codes_of(argument: ast.expr) -> list[str]:
    match argument:
        case ast.Constant(value=str(code)):
            return [code]
        case ast.IfExp(body=first, orelse=second):
            return codes_of(first) + codes_of(second)
        case ast.JoinedStr(values=parts):
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else SAMPLE for part in parts)]
        case _:
            raise AssertionError(f"a code that cannot be read: {ast.unparse(argument)}")


def notice_told(call: ast.Call) -> str | None:
    told = next((keyword.value for keyword in call.keywords if keyword.arg == "notice"), None)
    return told.value if isinstance(told, ast.Constant) and isinstance(told.value, str) else None


EVERY = sorted({each for each in raised() if each[0] not in INNER}, key=str)


def test_the_codes_are_found() -> None:
    assert {"forbidden_address", "too_many_redirects", "gone", "file_too_large", "file_http_500"} <= {
        code for code, _, _ in EVERY
    }


@pytest.mark.parametrize(("code", "kind", "notice"), EVERY)
def test_a_files_code_has_a_row_of_its_kind_with_the_line_that_the_operator_gets(
    code: str, kind: ErrorClass, notice: str | None
) -> None:
    rule = own_rule(code)
    assert rule is not None
    assert rule.kind is kind
    if kind is ErrorClass.REFUSED:
        assert notice_of(rule) == (notice or "refused")
