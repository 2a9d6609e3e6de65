"""A ledger in the test's own database."""

import pytest

from tests.store.ledger_rows import Ledger
from zaptrix.store.connection.database import Database


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)
