"""What workers have delivered, added up over all hosts."""

from pathlib import Path

from cryptography.fernet import Fernet

from zaptrix.app import open_app
from zaptrix.core.delivery.lanes import Queue
from zaptrix.core.message.message import Direction
from zaptrix.settings import Settings
from zaptrix.store.processes import totals
from zaptrix.telemetry import metrics
from zaptrix.telemetry.metrics import Result
from zaptrix.worker.totals import add_totals


async def test_each_delivery_is_added_once_and_failures_are_not(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    environ = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "DATA_DIR": str(tmp_path)}
    settings = Settings.from_env(environ | {"ENCRYPTION_KEYS": Fernet.generate_key().decode()})
    metrics.take_delivered()
    async with open_app(settings) as app:
        for count in (3, 4):
            metrics.messages_processed(Direction.OUTBOUND, Result.SUCCESS, count)
            metrics.messages_processed(Direction.OUTBOUND, Result.FAILURE, 100)
            await add_totals(app)
            await add_totals(app)
        async with app.database.connection() as connection:
            await totals.add(connection, {Queue.BITRIX24: 5, Queue.META: 1})  # another host's worker
            assert await totals.completed(connection) == {Queue.BITRIX24: 5, Queue.META: 8}
