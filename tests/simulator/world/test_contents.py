"""The simulators' files, in memory and on the disk."""

import hashlib
import pickle

import pytest

from zaptrix_sim.world.contents import MEMORY_MAX, PART, Content, drawn

SIZES = [0, 5, PART, MEMORY_MAX, MEMORY_MAX + 1]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_read_as_it_was_written_and_survives_a_snapshot(size: int) -> None:
    content = drawn(b"start"[:size], size, seed=3)
    whole = b"".join(content.parts())
    assert (len(content), len(whole), content.sha256) == (size, size, hashlib.sha256(whole).hexdigest())
    assert whole.startswith(b"start"[:size])
    assert content[size // 2 :] == whole[size // 2 :]
    again = pickle.loads(pickle.dumps(content))  # noqa: S301  # our own
    assert isinstance(again, Content)
    assert (again[:], again.sha256) == (whole, content.sha256)


def test_a_seed_draws_the_same_bytes_each_time_and_another_seed_others() -> None:
    assert drawn(b"", 200_000, 1)[:] == drawn(b"", 200_000, 1)[:]
    assert drawn(b"", 200_000, 1)[:] != drawn(b"", 200_000, 2)[:]
    assert drawn(b"ab", 5, None)[:] == b"ab\0\0\0"
