"""REDIS_URL in its forms, and what is said of one that slipped."""

import pytest

from zaptrix.broker.connection.address import Host, RedisTopology, read
from zaptrix.core.installation.addresses import redis_slip


def test_a_cluster_has_several_hosts_and_one_login() -> None:
    where = read("redis+cluster://u:p%40%2F@10.0.0.1:7000,[::1]:7001,redis.example.com")
    assert where.form is RedisTopology.CLUSTER
    assert where.hosts == (Host("10.0.0.1", 7000), Host("::1", 7001), Host("redis.example.com", 6379))
    assert where.options == {"username": "u", "password": "p@/"}


def test_sentinels_have_a_login_of_their_own_and_share_the_certificates() -> None:
    where = read(
        "rediss+sentinel://:data@h1,h2:5/my%20service/3"
        "?sentinel_username=s&sentinel_password=a%2Bb+c%26&ssl_ca_certs=/ca.pem&ssl_check_hostname=false"
    )
    assert (where.hosts, where.service) == ((Host("h1", 26379), Host("h2", 5)), "my service")
    tls = {"ssl": True, "ssl_ca_certs": "/ca.pem", "ssl_check_hostname": False}
    assert where.options == {"password": "data", "db": 3, **tls}
    assert where.sentinel_options == {"username": "s", "password": "a+b+c&", **tls}


@pytest.mark.parametrize("url", [
    "redis://h:1/0", "unix:///redis.sock?db=1", "redis+cluster://h1:1,h2:2", "rediss+cluster://u:p@h1/",
    "redis+cluster://h1:1/0", "redis+sentinel://h:1/service", "redis+sentinel://[::1]:1,[::2]:2/service/0",
])  # fmt: skip
def test_what_can_be_read(url: str) -> None:
    assert redis_slip(url) is None


@pytest.mark.parametrize(("url", "told"), [
    ("redis+cluster://", "names no host"), ("redis+cluster://h1,,h2", "names no host"),
    ("redis+cluster://h:1/3", "a cluster has only one"), ("redis+cluster://h:1?db=2", "a cluster has only one"),
    ("redis://h1:1,h2:2", "names several hosts; write redis+cluster://"), ("rediss://h1,h2/0", "several hosts"),
    ("redis+sentinel://h:1", "does not name the service"), ("redis+sentinel://h:1/", "does not name the service"),
    ("redis+sentinel://h:1/service/x", "not a whole number"), ("redis+sentinel://h:99999/s/0", "has a port"),
    ("redis+cluster://:a/b@h1,h2", "means something else there"),
])  # fmt: skip
def test_each_slip_is_told(url: str, told: str) -> None:
    assert told in (redis_slip(url) or "")
