"""Two versions side by side: which code works on which schema."""

import pytest

from zaptrix.core.installation.compatibility import Fit, SchemaSpan, fit, read, told

CODE = SchemaSpan(oldest="0030", newest="0031")


@pytest.mark.parametrize(
    ("revision", "works_from", "found"),
    [
        (None, None, Fit.BEHIND),
        ("0029", "0029", Fit.BEHIND),
        ("0030", None, Fit.USABLE),  # not migrated yet, which this release can do without
        ("0031", None, Fit.USABLE),
        ("0032", "0030", Fit.USABLE),  # a later release has added to it
        ("0032", "0031", Fit.USABLE),
        ("0033", "0032", Fit.AHEAD),  # and another one has taken away what we use
        ("0032", None, Fit.AHEAD),  # nobody says that we may
        ("10032", "0031", Fit.USABLE),  # numbers, not texts
        ("10032", "10000", Fit.AHEAD),
    ],
)
def test_code_works_on_its_own_schema_an_older_one_that_it_can_do_with_and_a_later_one_that_says_so(
    revision: str | None, works_from: str | None, found: Fit
) -> None:
    assert fit(CODE, revision, works_from) is found


def test_what_stands_beside_the_revision_is_read_again_and_nothing_else_is() -> None:
    assert read(told("0031")) == "0031"
    for comment in (None, "", "alembic's own", told("0031") + "\n; DROP", told("31"), told("")):
        assert read(comment) is None
