"""Who is let in to the monitoring pages without a key: only who comes all of a private way."""

import pytest

from zaptrix.settings import Settings
from zaptrix.web.http.exposure import is_from_inside, is_private


def settings(host: str, public_url: str = "") -> Settings:
    return Settings.from_env({"HOST": host, "PORT": "3000", **({"PUBLIC_URL": public_url} if public_url else {})})


@pytest.mark.parametrize(
    ("host", "public_url", "private"),
    [
        ("127.0.0.1", "", True),
        ("localhost", "http://localhost:3000", True),
        ("::1", "http://[::1]:3000", True),
        ("10.1.2.3", "http://10.1.2.3:3000", True),
        ("192.168.1.7", "", True),
        ("127.0.0.1", "https://gateway.example.com", False),
        ("10.1.2.3", "https://203.0.114.7", False),
        ("127.0.0.1", "http://gateway.internal", False),
        ("0.0.0.0", "", False),  # noqa: S104 - what is tested
        ("::", "http://127.0.0.1:3000", False),
        ("8.8.8.8", "http://127.0.0.1:3000", False),
    ],
)
def test_a_gateway_is_private_when_all_it_is_reached_by_is(host: str, public_url: str, *, private: bool) -> None:
    assert is_private(settings(host, public_url)) is private


OURS = (b"host", b"127.0.0.1:3000")


@pytest.mark.parametrize(
    ("headers", "inside"),
    [
        ([OURS], True),
        ([(b"host", b"localhost")], True),
        ([(b"host", b"[::1]:3000")], True),
        ([(b"host", b"gateway.example.com")], False),
        ([(b"host", b"127.0.0.1.nip.io:3000")], False),
        ([(b"host", b"10.0.0.1")], False),
        ([(b"host", b"")], False),
        ([(b"host", b"[")], False),
        ([], False),
        ([OURS, OURS], False),
        *(
            ([OURS, (name, b"x")], False)
            for name in (
                b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-anything", b"forwarded",
                b"via", b"x-real-ip", b"cf-connecting-ip", b"true-client-ip", b"x-envoy-external-address",
            )
        ),
    ],
)  # fmt: skip
def test_a_call_is_from_inside_when_nothing_says_otherwise(headers: list[tuple[bytes, bytes]], *, inside: bool) -> None:
    assert is_from_inside(settings("127.0.0.1"), headers) is inside


def test_the_address_that_a_private_network_knows_is_ours_too() -> None:
    ours = settings("10.1.2.3", "http://192.168.7.7:8080")
    assert is_from_inside(ours, [(b"host", b"10.1.2.3:3000")])
    assert is_from_inside(ours, [(b"host", b"192.168.7.7:8080")])
    assert not is_from_inside(ours, [(b"host", b"localhost")])
