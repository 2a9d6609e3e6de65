"""Open files: each connection is one, and what a shell allows is for people's programs, not for a server's."""

from __future__ import annotations

import resource

import structlog

from zaptrix.core import limits

log = structlog.get_logger(__name__)


def allow_open_files() -> int:
    """Raise the soft limit of this process as far as it is of use and allowed; how many it may open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.CONNECTIONS_MAX + limits.OPEN_FILES_SPARE
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("few open files allowed", limit=hard, advice=f"ulimit -Hn {wanted}")
    return allowed
