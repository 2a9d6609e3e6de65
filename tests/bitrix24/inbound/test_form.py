"""PHP-style forms: what Bitrix24 posts, and whatever else may come through the door."""

import contextlib
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zaptrix.bitrix24.inbound.form import BadForm, parse_form
from zaptrix.core import limits


def http_build_query(tree: dict[str, Any]) -> bytes:
    """PHP's function of this name: empty lists and maps vanish."""

    def fields(name: str, value: Any) -> list[str]:
        if isinstance(value, dict):
            return [field for key, below in value.items() for field in fields(f"{name}[{key}]", below)]
        if isinstance(value, list):
            return [field for index, below in enumerate(value) for field in fields(f"{name}[{index}]", below)]
        return [f"{quote_plus(name)}={quote_plus(value)}"]

    return "&".join(field for name, value in tree.items() for field in fields(name, value)).encode()


NAMES = st.text("abcXYZ_äß😀- ", min_size=1, max_size=6)
VALUES = st.recursive(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
    lambda below: st.lists(below, min_size=1, max_size=4) | st.dictionaries(NAMES, below, min_size=1, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_whatever_php_encodes_comes_back(tree: dict[str, Any]) -> None:
    assert parse_form(http_build_query(tree)) == tree


@given(st.binary(max_size=300) | st.text("ab[]=&%+019\0", max_size=300).map(str.encode))
def test_any_bytes_are_a_form_or_a_bad_form(body: bytes) -> None:
    with contextlib.suppress(BadForm):
        assert isinstance(parse_form(body), dict)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        pytest.param(b"", {}, id="nothing"),
        pytest.param(b"data=14", {"data": "14"}, id="scalar"),
        pytest.param(b"a[1]=y&a[0]=x", {"a": ["x", "y"]}, id="list by index"),
        pytest.param(b"a[7]=x&a[30]=z&a[8]=y", {"a": ["x", "y", "z"]}, id="list with gaps"),
        pytest.param(b"a[]=x&a[]=y", {"a": ["x", "y"]}, id="list without indexes"),
        pytest.param(b"a[5]=x&a[]=y&a[2]=w&a[]=z", {"a": ["w", "x", "y", "z"]}, id="after the largest index"),
        pytest.param(b"a[][b]=x&a[][b]=y", {"a": [{"b": "x"}, {"b": "y"}]}, id="maps without indexes"),
        pytest.param(
            b"a[999999999]=x&a[]=y&a[]=z", {"a": {"999999999": "x", "1000000000": "y", "1000000001": "z"}}, id="far"
        ),
        pytest.param(b"a[0]=x&a[b]=y", {"a": {"0": "x", "b": "y"}}, id="map with a digit"),
        pytest.param(b"a[01]=x", {"a": {"01": "x"}}, id="no index"),
        pytest.param(b"a%5Bb%5D=x+y%26z", {"a": {"b": "x y&z"}}, id="escaped"),
        pytest.param(b"a=%F0%9F%98%80%C3%A3", {"a": "😀ã"}, id="four bytes"),
        pytest.param(b"a=%F0%9F%98", {"a": "\ufffd"}, id="broken character"),
        pytest.param(b"a=x%00y", {"a": "xy"}, id="NUL"),
        pytest.param(b"a=1&a=2&&b", {"a": "2", "b": ""}, id="twice, nothing, no value"),
        pytest.param(b"a=1&a[b]=2", {"a": {"b": "2"}}, id="both ways"),
        pytest.param(b"a[b=1&c]=2&[d]=3", {"a[b": "1", "c]": "2", "[d]": "3"}, id="brackets that do not nest"),
        pytest.param(b"a[" + b"9" * 5000 + b"]=1", {"a": {"9" * 5000: "1"}}, id="endless index"),
    ],
)
def test_a_field_stands_where_php_would_put_it(body: bytes, form: dict[str, Any]) -> None:
    assert parse_form(body) == form


# Each makes a hostile body of `n` fields; together they fill what the limits allow.
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "indexes that a list has to pass": lambda n: b"&".join(
        [b"a[%d]=1" % (n // 2 + i) for i in range(n // 2)] + [b"a[]=1"] * (n // 2)
    ),
    "indexes backwards": lambda n: b"&".join([b"a[%d]=1" % (n - i) for i in range(n // 2)] + [b"a[]=1"] * (n // 2)),
    "no indexes": lambda n: b"&".join([b"a[]=1"] * n),
    "no indexes, below": lambda n: b"&".join([b"a[b][c][]=1"] * n),
    "maps without indexes": lambda n: b"&".join([b"a[][]=1"] * n),
    "both ways in turn": lambda n: b"&".join([b"a[]=1&a=1"] * (n // 2)),
    "names of digits": lambda n: b"&".join([b"a[" + b"9" * 900 + b"]=1"] * n),
    "deep": lambda n: b"&".join([b"a" + b"[]" * 9 + b"=1"] * n),
    "brackets": lambda n: b"&".join([b"a[" + b"]" * 900 + b"=1"] * n),
    "escapes": lambda n: b"&".join([b"a[]=" + b"%41" * 300] * n),
    "broken escapes": lambda n: b"&".join([b"a[]=" + b"%" * 900] * n),
    "nothing": lambda n: b"&" * (n - 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_form_of_twice_the_size_takes_twice_the_time(name: str) -> None:
    """What is quadratic takes sixteen times as long for four times as much."""

    def took_s(body: bytes) -> float:
        best = 1e9
        for _ in range(5):
            began = time.process_time_ns()
            with contextlib.suppress(BadForm):
                parse_form(body)
            best = min(best, (time.process_time_ns() - began) / 1e9)
        return best

    small, large = HOSTILE[name](500), HOSTILE[name](2000)
    assert took_s(large) < 9 * took_s(small) + 0.002


@given(st.binary(max_size=100) | st.text("%0aAfFg+x", max_size=100).map(str.encode))
def test_escapes_are_read_as_the_library_reads_them(raw: bytes) -> None:
    value = raw.replace(b"&", b"").replace(b"\0", b"").replace(b"%00", b"")
    told = unquote_to_bytes(value.replace(b"+", b" ")).decode(errors="replace").replace("\0", "")
    assert parse_form(b"a=" + value) == {"a": told}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"a" * (limits.BITRIX_BODY_BYTES_MAX + 1), "larger than"),
        (b"&".join(b"a%d=1" % number for number in range(limits.FORM_KEYS_MAX + 1)), "more than"),
        (b"a" + b"[b]" * limits.FORM_DEPTH_MAX + b"=1", "deeper than"),
        (b"=secret", "no usable name"),
        (b"%FF=secret", "not UTF-8"),
        (b"a%00=secret", "no usable name"),
    ],
)
def test_a_form_beyond_the_limits_is_refused_and_told_without_its_content(body: bytes, reason: str) -> None:
    with pytest.raises(BadForm, match=reason) as refusal:
        parse_form(body)
    assert "secret" not in str(refusal.value)


def test_as_many_fields_and_as_deep_as_the_limits_are_taken() -> None:
    many = b"&".join(b"a%d=1" % number for number in range(limits.FORM_KEYS_MAX))
    assert len(parse_form(many)) == limits.FORM_KEYS_MAX
    assert parse_form(b"a" + b"[b]" * (limits.FORM_DEPTH_MAX - 1) + b"=1")
