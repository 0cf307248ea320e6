"""Backups and restores of the lab of this machine, as the command line asks for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etabli.assembly import backups, configuration, restoring
from etabli.backup import models, sealing
from etabli.backup.service import Backups
from etabli.backup.settings import BackupSettings
from etabli.cli import ports
from etabli.kernel import settings
from etabli.kernel.clock import SystemClock


@dataclass(frozen=True)
class LocalBackups:
    """Keeps `cli.ports.Backups`."""

    layout: settings.Layout
    environ: Mapping[str, str]

    def take(self) -> str:
        """Take one now; what it holds, in a line."""
        loaded = configuration.load(self.layout)
        manifest = backups.take(self.layout, loaded, environ=self.environ)
        counts = manifest.counts
        return (
            f"{manifest.id}: {counts.buckets} buckets, {counts.objects} versions of objects ({counts.objects_read} new), "
            f"{counts.files} files of volumes ({counts.files_read} new), {counts.dumps} dumps"
            f"{f' and {counts.dumps_failed} that FAILED' if counts.dumps_failed else ''}; {_size(counts.bytes_total)} in all, "
            f"{_size(counts.bytes_written)} written"
        )

    def list(self) -> Sequence[ports.Row]:
        """Id, when, pieces; oldest first."""
        return [
            ports.Row((one.id, f"{one.taken_at:%Y-%m-%d %H:%M} UTC", str(one.pieces))) for one in self._kept().list()
        ]

    def verify(self) -> tuple[str, Sequence[ports.Row]]:
        """What was looked at, and each piece that is wrong."""
        found = self._kept().verify()
        return (
            f"{found.pieces} pieces of {found.backups} backups",
            [ports.Row((name[:16], why), well=False) for name, why in found.wrong],
        )

    def prune(self) -> str:
        """Forget what the settings do not keep."""
        gone, pieces = self._kept().prune()
        return f"{len(gone)} backups forgotten, {pieces} pieces removed"

    def signer(self) -> str:
        """Who signs."""
        return self._kept().signer()

    def keygen(self, path: Path) -> str:
        """A fresh identity in a file; its public half."""
        return sealing.generate(path)

    def restore(self, options: ports.RestoreOptions) -> str:
        """Make the lab of a backup in this empty data folder."""
        request = restoring.Request(
            source=BackupSettings(to=options.source, endpoint=options.endpoint, region=options.region),
            identity=options.identity,
            backup=options.backup,
            signer=options.signer,
            services_run=options.services_run,
        )
        done = restoring.restore(self.layout, request, environ=self.environ)
        return _told(done.manifest, objects=done.objects, volumes=done.volumes)

    def _kept(self) -> Backups:
        return backups.kept(self.layout, configuration.load(self.layout).backup, clock=SystemClock())


def _told(manifest: models.Manifest, *, objects: int, volumes: int) -> str:
    return (
        f"restored {manifest.id}, taken {manifest.taken_at:%Y-%m-%d %H:%M} UTC by Etabli {manifest.etabli} of {manifest.origin}\n"
        f"signed by {manifest.signer}\n"
        f"{objects} versions of objects and {volumes} volumes are back; start the lab with `etabli up`"
    )


def _size(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
