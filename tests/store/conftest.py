"""A pool on the test's own database, and a ledger in it."""

from collections.abc import AsyncIterator

import pytest

from tests.store.ledger import Ledger
from zaptrix.store.database import Database, open_database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)
