"""A process raises its soft limit of open files, and never its hard one."""

import subprocess
import sys

import pytest

from zaptrix.core import limits

WANTED = limits.CONNECTIONS_MAX + limits.OPEN_FILES_SPARE
RAISED = """
import resource, sys
from zaptrix.open_files import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, (256, int(sys.argv[1])))
print(allow_open_files(), *resource.getrlimit(resource.RLIMIT_NOFILE), file=sys.stderr)
"""


@pytest.mark.parametrize("hard", [1_000, WANTED, WANTED + 1_000])
def test_the_soft_limit_goes_as_far_as_it_is_of_use_and_allowed(hard: int) -> None:
    ran = subprocess.run([sys.executable, "-c", RAISED, str(hard)], capture_output=True, text=True, check=True)
    allowed = min(hard, WANTED)
    assert ran.stderr.split() == [str(allowed), str(allowed), str(hard)]
    assert ("few open files allowed" in ran.stdout) == (hard < WANTED)
