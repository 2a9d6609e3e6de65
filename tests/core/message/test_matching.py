"""Which message is meant: by all of its words, by those of its end or beginning, never by chance."""

import pytest

from zaptrix.core.message.matching import Candidate, bare, best_match

PRICE = "Qual o preço do frete para Curitiba?"


@pytest.mark.parametrize(
    ("words", "form"),
    [
        ("qual o  PREÇO?", "Qual o preço?"),
        ("Qual\u200b o\npreço?", "Qual o preço?"),
        ("↪ Encaminhada\nQual o preço?", "Qual o preço?"),
        (f"{PRICE[:25]}…", PRICE),
        (f"{PRICE * 2} e o resto", PRICE * 2),
    ],
    ids=["case and space", "zero width", "a line above", "cut short", "the first part"],
)
def test_a_message_is_found_by_its_words(words: str, form: str) -> None:
    assert best_match(words, None, [Candidate(("outra coisa",), ""), Candidate((form,), "")]) == 1


@pytest.mark.parametrize("words", ["", "preço", "bom dia", "Qual", "o frete"])
def test_what_is_not_its_words_finds_nothing(words: str) -> None:
    assert best_match(words, None, [Candidate((PRICE,), ""), Candidate(("", "dia"), "")]) is None


def test_all_words_come_before_some_and_the_author_before_the_first() -> None:
    candidates = [
        Candidate(("Combinado então",), "Bia"),
        Candidate(("combinado",), "Rui"),
        Candidate(("Combinado",), "Ana Souza"),
    ]
    assert best_match("combinado", None, candidates) == 1
    assert best_match("combinado", "ana  souza", candidates) == 2
    assert best_match("combinado", "Zé", candidates) == 1


def test_cutting_changes_nothing_that_is_compared() -> None:
    assert bare("um dois\n\ntrês") == bare("um  DOIS três ") == "umdoistrês"
