"""The one rule by which a language is chosen."""

import pytest

from zaptrix.core.portal import Locale
from zaptrix.core.wording.language import accepted, by_tag, choose, of_environment

EN, PT, ES = Locale.EN, Locale.PT_BR, Locale("es")


@pytest.mark.parametrize(
    ("wished", "chosen"),
    [
        ((), EN),
        (("",), EN),
        (("pt",), PT),
        (("pt-BR",), PT),
        (("pt-PT",), PT),
        (("PT_br.UTF-8",), PT),
        (("pt_BR@euro",), PT),
        (("pt-BR-x-ours",), PT),
        (("pt-BR-u-nu-latn", "en"), PT),
        (("pt-XX",), PT),
        (("por",), PT),
        (("en-GB",), EN),
        (("es-419",), ES),
        (("es_MX.UTF-8",), ES),
        (("gl", "es-AR", "pt"), ES),
        (("tlh", "fi-FI", "pt", "en"), PT),
        (("C.UTF-8",), EN),
        (("POSIX",), EN),
        (("ptolemaic", "x-pt", "p", "*", "-", "\x00", "pt" * 99), EN),
    ],
)
def test_the_first_language_that_is_spoken_is_chosen_and_else_english(wished: tuple[str, ...], chosen: Locale) -> None:
    assert choose(*wished) is chosen


def test_a_second_file_of_a_tongue_is_for_whoever_names_it() -> None:
    found = by_tag(["pt-BR", "en", "es-AR", "es", "pt-PT"])
    assert (found["pt"], found["pt-br"], found["pt-pt"]) == ("pt-BR", "pt-BR", "pt-PT")
    assert (found["es"], found["es-ar"]) == ("es", "es-AR")


def test_a_portals_language_counts_when_nobody_asks_for_another() -> None:
    assert choose("", otherwise=PT) is PT
    assert choose("fi", "*", otherwise=PT) is PT
    assert choose("en-US", otherwise=PT) is EN


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("pt-BR,pt;q=0.9,en;q=0.5", PT),
        ("en-GB,en;q=0.9,pt;q=0.5", EN),
        ("fi;q=0.9, pt;q=0.4, en-US;q=0.8", EN),
        ("en;q=0, pt;q=0.1", PT),
        ("en; Q=0.2 ,pt ; q=0.3", PT),
        ("pt;q=high,en;q=0.1", EN),
        ("pt;q=nan", EN),
        ("fi, tlh", EN),
        (",,;,", EN),
        ("", EN),
        ("x" * 5000 + ",pt", EN),
    ],
)
def test_a_header_is_read_by_its_weights(header: str, chosen: Locale) -> None:
    assert choose(*accepted(header)) is chosen


def test_a_command_speaks_by_the_first_variable_that_is_set() -> None:
    assert of_environment({"LANG": "en_US.UTF-8", "LC_ALL": "pt_BR.UTF-8"}) == "pt_BR.UTF-8"
    assert of_environment({"LANG": "pt_BR", "LC_MESSAGES": "C", "LC_ALL": ""}) == "C"
    assert choose("pt", of_environment({"LANG": "en_US"})) is PT
    assert choose(of_environment({})) is EN
