"""Prometheus' and Alertmanager's files: taken by their own programs, each alarm played, each with its chapter."""

import re
from pathlib import Path

import pytest
import yaml

from tests.deploy.queries import PROMETHEUS, ROOT, RULES, Expression, alarms, expressions, parsed, rules
from tests.programs import ran

ALERTMANAGER = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
RUNBOOK = ROOT / "docs" / "RUNBOOK.md"
PLAYED = sorted((PROMETHEUS / "tests").glob("*.yml"))
ASKED = ("**You see:**", "**It means:**", "**Do:**")


def test_prometheus_takes_its_configuration() -> None:
    ran("promtool", "check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    assert "SUCCESS" in ran("promtool", "check", "rules", *RULES)


def test_every_alarm_fires_and_keeps_quiet_as_its_series_say() -> None:
    assert "SUCCESS" in ran("promtool", "test", "rules", *PLAYED)


def test_every_alarm_is_played_firing_and_not_firing() -> None:
    played: dict[str, set[bool]] = {}
    for path in PLAYED:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for case in test["alert_rule_test"]:
                played.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert played == {alarm["alert"]: {True, False} for alarm in alarms()}


def test_alertmanager_takes_its_configuration_and_knows_every_alarm_that_it_names() -> None:
    assert "SUCCESS" in ran("amtool", "check-config", ALERTMANAGER)
    named = set(re.findall(r"Zaptrix\w+", ALERTMANAGER.read_text(encoding="utf-8")))
    assert named
    assert named <= {alarm["alert"] for alarm in alarms()}


def test_an_alarm_keeps_quiet_only_what_follows_from_it() -> None:
    """Where both are told of one queue, host or job each, it has to be the same."""
    labels = {alarm["alert"]: set(re.findall(r"\$labels\.(\w+)", str(alarm["annotations"]))) for alarm in alarms()}
    for rule in yaml.safe_load(ALERTMANAGER.read_text(encoding="utf-8"))["inhibit_rules"]:
        sources, targets = (
            re.findall(r"Zaptrix\w+", " ".join(rule[side])) for side in ("source_matchers", "target_matchers")
        )
        shared = {label for one in sources for other in targets for label in labels[one] & labels[other]}
        assert shared <= set(rule.get("equal", ())), rule


@pytest.mark.parametrize("expression", expressions(), ids=lambda each: each.place)
def test_every_expression_can_be_parsed(expression: Expression) -> None:
    assert parsed(expression.text) is not None


def test_what_alarms_ask_for_is_recorded_under_that_name() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert set(re.findall(r"zaptrix:[\w:]+", " ".join(alarm["expr"] for alarm in alarms()))) <= recorded


def chapters() -> dict[str, str]:
    """The runbook's chapters by the anchor that a link to them has."""
    found = re.split(r"^#{2,4} ", RUNBOOK.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w-]", "", chapter.partition("\n")[0].lower().replace(" ", "-")): chapter for chapter in found}


@pytest.mark.parametrize("alarm", alarms(), ids=lambda alarm: alarm["alert"])
def test_every_alarm_says_what_is_wrong_in_two_languages_and_names_its_chapter(
    alarm: dict[str, dict[str, str]],
) -> None:
    told = alarm["annotations"]
    assert alarm["labels"]["severity"] in {"critical", "warning"}
    assert set(told) == {"summary", "summary_pt_br", "description", "description_pt_br", "runbook_url"}
    assert told["summary"] != told["summary_pt_br"]
    page, _, anchor = told["runbook_url"].partition("#")
    assert ROOT / page == RUNBOOK
    chapter = chapters()[anchor]
    assert [asked for asked in ASKED if asked not in chapter] == []


def test_every_chapter_of_an_alarm_is_an_alarms() -> None:
    named = {chapter.partition("\n")[0] for chapter in chapters().values() if chapter.startswith("Zaptrix")}
    assert named == {alarm["alert"] for alarm in alarms()}


def test_no_label_of_ours_can_hold_a_number_or_a_person() -> None:
    """Cardinality, and the phone numbers that no metric may show: what is grouped by is of a short list."""
    grouped = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", " ".join(e.text for e in expressions())))))
    assert grouped <= {
        "alertname", "bucket", "cache", "cause", "direction", "fate", "instance", "job", "kind", "le", "queue",
        "reason", "result", "server", "severity", "side", "source", "state", "status", "verdict", "version",
    }  # fmt: skip


def test_the_recorded_rules_and_the_configuration_lie_where_the_configuration_looks() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    assert [path for pattern in config["rule_files"] for path in sorted(PROMETHEUS.glob(pattern))] == RULES
    assert Path(PROMETHEUS / "tests").is_dir()
