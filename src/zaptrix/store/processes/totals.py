"""How many messages each queue has delivered since the gateway began, over all hosts.

The ledger forgets by age and is too large to be counted at each look, so workers add what they delivered every few
seconds. What a killed worker had not added yet is missing; nothing is decided by these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

from zaptrix.core.delivery.lanes import Queue
from zaptrix.store.connection.database import Connection

_ADD = """
INSERT INTO queue_total (queue, completed) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (queue) DO UPDATE SET completed = queue_total.completed + excluded.completed
"""
_READ = "SELECT queue, completed FROM queue_total"


async def add(connection: Connection, completed: Mapping[Queue, int]) -> None:
    """Add what one process has delivered since it added last."""
    ordered = sorted(completed.items())  # in one order, as all that is locked (docs/adr/0034)
    await connection.execute(_ADD, [queue.value for queue, _ in ordered], [count for _, count in ordered])


async def completed(connection: Connection) -> dict[Queue, int]:
    """Messages delivered over each of the two queues that deliver."""
    told = {Queue(row["queue"]): row["completed"] for row in await connection.fetch(_READ)}
    return {queue: told.get(queue, 0) for queue in (Queue.BITRIX24, Queue.META)}
