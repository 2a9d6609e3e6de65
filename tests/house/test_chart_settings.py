"""The chart knows every setting by its name."""

from tests.house.chart_settings import SCHEMA, written


def test_the_charts_schema_names_the_settings_that_there_are() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == written(), "run python -m tests.house.chart_settings"
