"""How backups stand, told from what the lab noted of them: neither the place nor a key is looked at, and little is loaded."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from etabli.backup import models
from etabli.backup.settings import BackupSettings, read_period
from etabli.kernel import errors, files, holds
from etabli.kernel.clock import Clock

LOCK, STATUS = "lock", "status.json"
HOLD = "deletions"  # Held while nothing may be removed for good: a backup is at its beginning.
RESTORING = "restoring"  # In a data folder that a restore has not finished.
RETRY = timedelta(hours=1)  # After a run that failed.


@dataclass(frozen=True)
class Standing:
    """`trouble` is empty where all is well, else a sentence for the administrator."""

    configured: bool
    to: str = ""
    every: str = ""
    last_id: str = ""
    last_at: datetime | None = None  # Of the last whole backup.
    counts: models.Counts | None = None
    failed_at: datetime | None = None
    failure: str = ""  # Why the last run that failed did, where no whole one followed.
    running: bool = False
    trouble: str = ""


class Notebook:
    """Of one lab, in its own folder for backups."""

    def __init__(self, *, settings: BackupSettings, folder: Path, clock: Clock) -> None:
        self._settings, self._folder, self._clock = settings, folder, clock

    def standing(self) -> Standing:
        """How they stand now."""
        if not self._settings.to:
            return Standing(configured=False, trouble="no backups are made: `[backup] to` and `recipients` are not set")
        standing = replace(
            self._read(), to=self._settings.to, every=self._settings.every, running=holds.is_held(self._folder / LOCK)
        )
        return replace(standing, trouble=self._trouble(standing))

    def is_due(self) -> bool:
        """Whether the lab is to take one by itself now."""
        period = self._settings.period
        if not self._settings.to or period is None:
            return False
        known, now = self._read(), self._clock.now()
        if known.last_at is not None and now - known.last_at < period:
            return False
        return known.failed_at is None or now - known.failed_at >= min(period, RETRY)

    def succeeded(self, manifest: models.Manifest) -> None:
        """A backup is whole."""
        about = {"last_id": manifest.id, "last_at": manifest.taken_at, "counts": manifest.counts}
        self._write(replace(self._read(), **about, failed_at=None, failure=""))  # type: ignore[arg-type] # Names of Standing.

    def failed(self, why: str) -> None:
        """A run was cut."""
        self._write(replace(self._read(), failed_at=self._clock.now(), failure=why))

    def _trouble(self, standing: Standing) -> str:
        if standing.failure:
            return f"the last backup failed: {standing.failure}"
        if standing.last_at is None:
            return "no backup was taken yet: `etabli backup now`"
        if standing.counts is not None and standing.counts.dumps_failed:
            return "a service's own dump failed in the last backup: its volume was copied as the disk had it"
        age = self._clock.now() - standing.last_at
        if age > read_period(self._settings.warn_after):
            return f"the last backup is {age.days} days old" if age.days > 1 else "the last backup is old"
        return ""

    def _read(self) -> Standing:
        try:
            raw = json.loads((self._folder / STATUS).read_text())
        except (FileNotFoundError, ValueError):
            return Standing(configured=True)
        return Standing(
            configured=True,
            last_id=raw["last_id"],
            last_at=_moment(raw["last_at"]),
            counts=models.Counts(**raw["counts"]) if raw["counts"] else None,
            failed_at=_moment(raw["failed_at"]),
            failure=raw["failure"],
        )

    def _write(self, standing: Standing) -> None:
        raw = {
            "last_id": standing.last_id,
            "last_at": standing.last_at.isoformat() if standing.last_at else None,
            "counts": asdict(standing.counts) if standing.counts else None,
            "failed_at": standing.failed_at.isoformat() if standing.failed_at else None,
            "failure": standing.failure,
        }
        files.write_atomically(self._folder / STATUS, json.dumps(raw))


def folder(data: Path) -> Path:
    """What a lab notes of its backups, in its data folder."""
    return data / "backup"


def deletions_held(data: Path) -> bool:
    """Whether a backup asks that nothing be removed for good now."""
    return holds.is_held(folder(data) / HOLD)


def refuse_unfinished(data: Path) -> None:
    """Refused where a restore was cut in this data folder."""
    if (data / RESTORING).exists():
        raise errors.Refused(
            "a restore into this data folder was cut: it is not whole",
            hint="`etabli restore` again: it begins anew",
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
