from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from zaptrix_sim.bitrix24.php_form import decode, encode, listed

names = st.text("abcXYZ_", min_size=1, max_size=8)
documents = st.recursive(
    st.text(max_size=20), lambda inner: st.dictionaries(names, inner, min_size=1, max_size=4), max_leaves=20
)


def test_a_document_is_written_as_php_writes_it() -> None:
    body = encode({"event": "X", "data": {"MESSAGES": [{"im": {"chat_id": 1767}, "text": "Olá & 😀"}]}, "ts": 5})

    assert body == (
        b"event=X&data%5BMESSAGES%5D%5B0%5D%5Bim%5D%5Bchat_id%5D=1767"
        b"&data%5BMESSAGES%5D%5B0%5D%5Btext%5D=Ol%C3%A1+%26+%F0%9F%98%80&ts=5"
    )


def test_nulls_and_empty_lists_and_maps_vanish_and_booleans_become_numbers() -> None:
    body = encode({"a": None, "b": [], "c": {}, "d": True, "e": False, "f": [None, "x"]})

    assert body == b"d=1&e=0&f%5B1%5D=x"


def test_a_scalar_stands_for_itself() -> None:
    assert encode({"data": 14}) == b"data=14"


def test_a_list_comes_back_as_a_map_of_numbers_and_is_a_list_again() -> None:
    parsed = decode("m[0][a]=1&m[1][a]=2&ids[]=x&ids[]=y&plain=z")

    assert parsed == {"m": {"0": {"a": "1"}, "1": {"a": "2"}}, "ids": {"0": "x", "1": "y"}, "plain": "z"}
    assert listed(parsed["m"]) == [{"a": "1"}, {"a": "2"}]
    assert listed(parsed["ids"]) == ["x", "y"]


def test_one_value_is_a_list_of_one_and_nothing_is_none() -> None:
    assert (listed("a"), listed(None), listed(""), listed({"key": 1})) == (["a"], [], [], [{"key": 1}])


@given(st.dictionaries(names, documents, max_size=4))
def test_what_is_written_is_read_back(document: dict[str, Any]) -> None:
    assert decode(encode(document).decode()) == document


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    assert isinstance(decode(text), dict)
