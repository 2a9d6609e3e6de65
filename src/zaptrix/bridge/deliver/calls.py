"""Calls a platform for claimed messages: prepares, sends or verifies them, and judges the outcome.

Nothing here writes what came of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from zaptrix.bridge.deliver.attachments import Attachments
from zaptrix.bridge.deliver.call_limit import CallBounds
from zaptrix.bridge.deliver.late_fields import LateField
from zaptrix.bridge.deliver.settler import Judged
from zaptrix.bridge.tenants.ground import Ground
from zaptrix.core.delivery.claim import Claim
from zaptrix.core.delivery.errors import (
    OutOfTime,
    PlatformError,
    Refused,
    StaleUpload,
    TooFast,
    Unauthorized,
    Unavailable,
    Unclear,
)
from zaptrix.core.delivery.outcome import Outcome, Proof
from zaptrix.core.delivery.retry import Case, Snooze, Verdict, decide, decide_proof
from zaptrix.core.message.message import Direction, Side
from zaptrix.core.ports import Call, Platform, Witness
from zaptrix.deadlines import Deadline
from zaptrix.telemetry import metrics
from zaptrix.telemetry.causes import CallFailure

DIRECTIONS = {Side.BITRIX24: Direction.INBOUND, Side.WHATSAPP: Direction.OUTBOUND}
_CAUSES = {
    TooFast: CallFailure.TOO_FAST,
    OutOfTime: CallFailure.OUT_OF_TIME,
    Unavailable: CallFailure.UNAVAILABLE,
    Unclear: CallFailure.UNCLEAR,
    StaleUpload: CallFailure.STALE_UPLOAD,
    Refused: CallFailure.REFUSED,
    Unauthorized: CallFailure.UNAUTHORIZED,
}


class Ready(NamedTuple):
    """Claimed messages that may be sent, and the verdicts on those that wait for something yet."""

    claims: list[Claim]
    waiting: list[Judged]


class CallOutcome(NamedTuple):
    """What came of a call: each message's verdict, and until when the platform is to be left alone as a whole."""

    judged: list[Judged]
    leave_alone: datetime | None

    def and_of(self, call: Sequence[tuple[Outcome, Judged]], now: datetime) -> CallOutcome:
        """And what came of one more."""
        times = [at for outcome, judged in call if (at := _leave_alone(outcome, judged, now))]
        return CallOutcome(
            [*self.judged, *(judged for _, judged in call)],
            min([*times, *([self.leave_alone] if self.leave_alone else [])], default=None),
        )


class Calls:
    """The calls to one side."""

    def __init__(
        self,
        platform: Platform,
        ground: Ground,
        bounds: CallBounds,
        *,
        attachments: Attachments,
        late_fields: Sequence[LateField],
        witness: Witness | None = None,
    ) -> None:
        self.platform = platform
        self.direction = DIRECTIONS[platform.side]
        self._witness = witness  # for a platform that cannot be asked itself
        self._attachments = attachments
        self._late_fields = late_fields
        self._now = ground.now
        self._stopping = ground.stopping
        self._lease_s = bounds.lease_s

    async def ready(self, claims: Sequence[Claim]) -> Ready:
        """With their files and what is only known now. Raises StoreUnavailable: then nothing was sent."""
        waiting: list[Judged] = []
        for step in self._late_fields:
            claims, late = await step.finish(claims)
            waiting += [self.put_off(claim, step.until(), step.wanted) for claim in late]
        return Ready(await self._attachments.attach(claims), waiting)

    async def send(self, claims: Sequence[Claim], claimed_s: float) -> CallOutcome:
        """Send while the claim of `claimed_s` (`elapsed_s()` before it) lasts, and leave off in time: then somebody
        else may take the messages up."""
        ended = CallOutcome([], None)
        for call in self.platform.calls(claims):  # mostly one: what was made ready may be longer than before
            outcomes = await self._sent(call, self._deadline(call, claimed_s))
            ended = ended.and_of([(o, self._judge(p, o)) for p, o in zip(call, outcomes, strict=True)], self._now())
        return ended

    async def prove(self, claims: Sequence[Claim], claimed_s: float) -> list[Judged]:
        """Look for what had no clear answer. Raises StoreUnavailable."""
        claims = await self._attachments.recall(claims)
        proofs = await asyncio.gather(*(self._proof(claim, self._deadline([claim], claimed_s)) for claim in claims))
        return [
            self._judged(claim, decide_proof(proof, self._case(claim)), proving=True)
            for claim, proof in zip(claims, proofs, strict=True)
        ]

    def put_off(self, claim: Claim, at: datetime, wanted: str) -> Judged:
        """Not begun: again at `at`, and it costs nothing."""
        return self._judged(claim, Snooze(at, wanted))

    async def _sent(self, call: Call, deadline: Deadline) -> list[Outcome]:
        if not deadline.may_begin:
            return [OutOfTime("claim_ran_out", "too much of the claim was over before the call")] * len(call)
        try:
            async with deadline.kept():
                return await self.platform.send(call)
        except TimeoutError:
            return [Unclear("claim_ran_out", "the call took longer than a claim lasts")] * len(call)

    async def _proof(self, claim: Claim, deadline: Deadline) -> Proof:
        try:
            async with deadline.kept():
                if claim.suspect and self._witness is not None:
                    return await self._witness.delivered(claim)
                return await self.platform.prove(claim)
        except TimeoutError:
            return OutOfTime("claim_ran_out", "the search took longer than a claim lasts")

    def _judge(self, claim: Claim, outcome: Outcome) -> Judged:
        if isinstance(outcome, PlatformError):
            metrics.call_failed(self.platform.side, _cause(outcome))
        return self._judged(claim, decide(outcome, self._case(claim)))

    def _judged(self, claim: Claim, verdict: Verdict, *, proving: bool = False) -> Judged:
        return Judged(claim=claim, direction=self.direction, verdict=verdict, at=self._now(), proving=proving)

    def _case(self, claim: Claim) -> Case:
        return Case(
            attempts=claim.attempts,
            unclear=claim.unclear,
            created_at=claim.created_at,
            now=self._now(),
            jitter=random.random(),  # noqa: S311  # spreads retries, hides nothing
            patience=self.platform.patience,
            reuploaded=claim.attachment is not None and claim.attachment.reuploaded,
        )

    def _deadline(self, claims: Sequence[Claim], claimed_s: float) -> Deadline:
        return self._stopping.deadline(claimed_s, self._lease_s, [claim.attempt_id for claim in claims])


def _leave_alone(outcome: Outcome, judged: Judged, now: datetime) -> datetime | None:
    """Until when, if it is the platform that has to be left alone, and not one conversation."""
    if isinstance(outcome, Unauthorized):
        return now
    if isinstance(outcome, Unavailable) or (isinstance(outcome, TooFast) and not outcome.one_conversation):
        return getattr(judged.verdict, "at", None)
    return None


def _cause(error: PlatformError) -> CallFailure:
    """As what it is counted: by the nearest of its classes."""
    return next((_CAUSES[kind] for kind in type(error).__mro__ if kind in _CAUSES), CallFailure.UNEXPECTED)
