"""The use cases of the audit log: record, search, verify, copy to S3, remove what was copied long ago.

Who may read it is asked by those who call: this room knows nobody. Recording never fails what was done: what cannot be written is
logged whole, and the lab goes on.
"""

import hashlib
from dataclasses import replace
from datetime import timedelta

import structlog

from etabli.audit import models, ports, store
from etabli.audit.settings import AuditSettings
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database
from etabli.kernel.errors import Unavailable

log = structlog.get_logger()

PAGE = 50  # Records of one page.
LONGEST_PAGE = 1000  # Of the API.


class Audit:
    """The audit log of the lab."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._store = store.Store(database=database)
        self._clock = clock

    async def record(self, entry: models.Entry) -> None:
        """Write down what happened. Never inside a unit of work of the same task: it is one of its own."""
        cut = models.LONGEST_NAME
        tidy = replace(
            entry,
            action=entry.action[:cut],
            target_kind=entry.target_kind[:32],
            target=entry.target[:cut],
            project=entry.project[:40],
            address=entry.address[:64],
            detail=models.cleaned(entry.detail),
        )
        try:
            await self._store.append(tidy, at=self._clock.now())
        except Unavailable as error:
            log.error("audit record lost", action=tidy.action, actor=tidy.actor.id, reason=error.message)

    async def search(self, query: models.Query, *, limit: int = PAGE) -> tuple[models.Record, ...]:
        """Records that fit, newest first; the next page is those before the last one's number."""
        return await self._store.search(query, limit=min(limit, LONGEST_PAGE))

    async def verify(self) -> models.Verdict:
        """Whether every record is as it was written and none is missing between two, as far back as the log goes."""
        number, previous = await self._store.anchor()
        sealed = {one.last_number: one.last_digest for one in await self._store.exports() if one.last_number > number}
        rows = 0
        async for batch in self._store.batches(after=number):
            for record in batch:
                reason = _fault(record, number=number + 1, previous=previous)
                if not reason and sealed.pop(record.number, record.digest) != record.digest:
                    reason = "it is not the record that was copied to S3"
                if reason:
                    return models.Verdict(rows=rows, first_wrong=record.number, reason=reason)
                rows, number, previous = rows + 1, record.number, record.digest
        if sealed:
            return models.Verdict(
                rows=rows, first_wrong=min(sealed), reason="a record that was copied to S3 is not there any more"
            )
        return models.Verdict(rows=rows)

    async def exports(self) -> tuple[models.Export, ...]:
        """The days that were copied, newest first."""
        return await self._store.exports()

    async def export(self, shelf: ports.Shelf, *, today_too: bool = False) -> tuple[models.Export, ...]:
        """Copy each complete day that is not copied yet, or has more records since; today's too where asked. What was copied.

        An object is named by its content: copying a day again is one object, and nothing is ever overwritten.
        """
        known = {one.day: one for one in await self._store.exports()}
        today = self._clock.now().date().isoformat()
        made: list[models.Export] = []
        for day, count in await self._store.days():
            if (day >= today and not today_too) or (day in known and known[day].rows == count):
                continue
            export = await self._export_day(shelf, day)
            await self._store.exported(export)
            made.append(export)
            log.info("audit day copied", day=day, rows=export.rows)
        return tuple(made)

    async def tend(self, shelf: ports.Shelf, settings: AuditSettings) -> None:
        """Copy what is complete, then remove what settings let go. Repeating it is safe; Unavailable where the store is away."""
        await self.export(shelf)
        if not settings.keep_days:
            return
        oldest = (self._clock.now() - timedelta(days=settings.keep_days)).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        if removed := await self._store.remove_before(oldest):
            log.info("audit log shortened", rows=removed)

    async def _export_day(self, shelf: ports.Shelf, day: str) -> models.Export:
        records = await self._store.of_day(day)
        content = "".join(models.line(record) + "\n" for record in records).encode()
        digest = hashlib.sha256(content).hexdigest()
        key = f"audit/{day.replace('-', '/')}/{digest}.jsonl"
        await shelf.put(key=key, content=content, content_type="application/jsonl")
        return models.Export(
            day=day,
            object_key=key,
            digest=digest,
            rows=len(records),
            last_number=records[-1].number,
            last_digest=records[-1].digest,
            exported_at=self._clock.now(),
        )


def _fault(record: models.Record, *, number: int, previous: str) -> str:
    if record.number != number:
        return f"records {number} to {record.number - 1} are missing"
    if record.previous != previous:
        return "it does not stand on the record before it"
    if models.digest(record) != record.digest:
        return "it was changed after it was written"
    return ""
