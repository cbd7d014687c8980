"""Scan after scan, with a record that makes any of them repeatable: what is finished is kept, what fails is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from spleenseg.errors import UserError
from spleenseg.files import write_csv
from spleenseg.inference.ledger import Ledger, source_of
from spleenseg.inference.measure import COLUMNS, Row
from spleenseg.inference.one_scan import OneScan
from spleenseg.inference.results import ScanResult, SegmentSummary
from spleenseg.inference.scans import TABLES, Scan
from spleenseg.inference.stopwatch import PHASES, Stopwatch
from spleenseg.progress import Reporter

LOG_COLUMNS = ("case", "status", *(f"{phase}_s" for phase in PHASES), "message")
_VOLUMES, _LOG = "/volumes", "/log"  # their entries in the record; no scan can be called so


@dataclass
class Cohort:
    """The scans of one run.

    Attributes:
        ledger: the record of the output folder.
        one: how each scan is treated.
        reporter: shows progress and names the scans that fail.
        log: rows of run.log.csv so far.
    """

    ledger: Ledger
    one: OneScan
    reporter: Reporter
    log: list[Row] = field(default_factory=list)

    def all(self, scans: Sequence[Scan]) -> SegmentSummary:
        """Segment what is not finished; tables and record are up to date after every scan."""
        self.ledger.require_ours(TABLES)
        results = []
        with self.ledger.undone_if_it_fails(), self.reporter.task("segmenting scans", len(scans)) as task:
            for scan in scans:
                watch = Stopwatch()
                results.append(self._one(scan, watch, alone=len(scans) == 1))
                said = results[-1].message or self._notes(scan)
                self.log.append([scan.case, results[-1].status, *watch.columns(), said])
                self._write_tables()
                task.advance(note=scan.case)
        self.ledger.finish(_VOLUMES)  # never the log: the record, unlike it, is the same for two runs
        self.ledger.save()
        return SegmentSummary(self.ledger.folder, tuple(results))

    def _one(self, scan: Scan, watch: Stopwatch, alone: bool) -> ScanResult:
        try:
            status = self._segmented_or_kept(scan, watch)
        except Exception as error:  # whatever one scan does must not cost the others
            if alone:
                raise
            message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            self.reporter.warn(f"{scan.case} failed: {message}")
            return ScanResult(scan.case, scan.path, "failed", {}, message)
        volumes = {str(row[1]): float(row[2] or 0) for row in self.ledger.items[scan.case].rows}
        return ScanResult(scan.case, scan.path, status, volumes)

    def _segmented_or_kept(self, scan: Scan, watch: Stopwatch) -> Literal["done", "kept"]:
        files, settings = self.one.files(scan), self.one.settings
        source = source_of(scan.path)
        old = self.ledger.items.get(scan.case)
        if old and old.rows and old.source != source:
            folder = self.ledger.folder
            raise UserError(f"{folder} holds the result of another scan called {scan.case}; give another folder")
        if self.ledger.finished(scan.case, source, settings, files):
            return "kept"
        with self.ledger.undone_if_it_fails():
            self.ledger.begin(scan.case, source, settings, files)
            self.ledger.save()
            self.ledger.finish(scan.case, self.one.segmented(scan, watch))
            self.ledger.save()
        return "done"

    def _notes(self, scan: Scan) -> str | None:
        """Return what was done on reading a scan, as its rows say."""
        item = self.ledger.items.get(scan.case)
        return str(item.rows[0][-1]) if item and item.rows and item.rows[0][-1] else None

    def _write_tables(self) -> None:
        for entry, table in zip((_VOLUMES, _LOG), TABLES, strict=True):
            self.ledger.begin(entry, "", self.one.settings, [table])
        self.ledger.save()  # it knows them before they are there
        rows = [row for _, item in sorted(self.ledger.items.items()) for row in item.rows]
        write_csv(self.ledger.folder / TABLES[0], COLUMNS, rows)
        write_csv(self.ledger.folder / TABLES[1], LOG_COLUMNS, self.log)
