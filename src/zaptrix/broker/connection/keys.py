"""Names of Redis keys, on one server and on a cluster.

On a cluster each name begins with a tag, `{tag}:name`, and keys of one tag are on one node; a script and a transaction
work on keys of one node alone: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags
The keys of a queue share a tag, and so do all of pace, whose script takes from several buckets at once; every other key
stands alone, and is its own tag. Elsewhere names have no tag, and are what they always were: processes of two
versions, beside each other during an upgrade, see the same bells, buckets and caches (docs/adr/).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from redis.asyncio import Redis, RedisCluster

from zaptrix.broker.connection.cluster import on_primaries
from zaptrix.core.delivery.lanes import Queue

PACE = "pace"
BULL = "bull"


def as_cluster(redis: object) -> RedisCluster | None:
    """A cluster's client passes for a Redis (`connection.py`); None: it is one."""
    return redis if isinstance(redis, RedisCluster) else None


class Keys:
    """How keys are named where `redis` leads."""

    def __init__(self, redis: Redis) -> None:
        self._tagged = as_cluster(redis) is not None

    def of(self, tag: str, name: str) -> str:
        """One of those that belong together."""
        return f"{{{tag}}}:{name}" if self._tagged else name

    def alone(self, name: str) -> str:
        """One that stands alone: all of it is its tag."""
        return f"{{{name}}}" if self._tagged else name

    def bull(self, queue: Queue) -> str:
        """BullMQ's prefix: it puts the queue's name behind it."""
        return self.of(queue.value, BULL)


async def get_many(redis: Redis, keys: Sequence[str]) -> list[str | None]:
    """What stands under several keys, which may be on several nodes."""
    cluster = as_cluster(redis)
    return cast("list[str | None]", await (cluster.mget_nonatomic(keys) if cluster else redis.mget(keys)))


async def on_each(redis: Redis, *command: str) -> list[Any]:
    """What each server that may be written to answers to a command about itself."""
    cluster = as_cluster(redis)
    if cluster is None:
        return [await redis.execute_command(*command)]  # type: ignore[no-untyped-call]
    return await on_primaries(cluster, *command)
