"""A program that is not there is told of where a person works, and is a failure in CI."""

import pytest

from tests.programs import program

NOWHERE = "no-such-linter-of-ours"


def test_without_a_program_its_checks_are_skipped_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=f"{NOWHERE} is not installed: `make tools`"):
        program(NOWHERE)


def test_in_ci_that_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=f"{NOWHERE} is not installed"):
        program(NOWHERE)
