"""The files in which a training shows itself: the reference's CSVs and curves, and `history.json`."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

from spleenseg.files import write_json, write_text
from spleenseg.models.run_folder import RunFolder

Row = Mapping[str, float]
_Known = Mapping[str, float | None]  # a row whose undefined figures are None


def write_history(run: RunFolder, rows: Sequence[Row], shown_metrics: Sequence[str]) -> None:
    """Write everything a finished epoch changes; each file is replaced as a whole.

    A figure that is not finite, such as the validation loss of a network that diverged, is null in history.json, an
    empty cell in the tables and a gap in the curves.

    Args:
        run: the run folder.
        rows: one mapping of figures per epoch, with `epoch`, `loss` and `val_loss`.
        shown_metrics: the columns of train_metrics.csv ([train] metrics).
    """
    known = [{key: value if math.isfinite(value) else None for key, value in row.items()} for row in rows]
    write_json(run.history, {key: [row.get(key) for row in known] for key in known[-1]} if known else {})
    if not known:
        return
    write_text(run.losses_csv, _table(known, ["loss", "val_loss"], header="epoch, loss, val_loss\n"))
    header = "epoch," + "".join(f"{name}," for name in shown_metrics) + "\n"
    write_text(run.metrics_csv, _table(known, shown_metrics, header))
    _draw(run, known, shown_metrics)


def _table(rows: Sequence[_Known], names: Sequence[str], header: str) -> str:
    """Lay the columns out as the reference does: `0, 0.4259, 0.3754`."""
    text = io.StringIO()
    text.write(header)
    for place, row in enumerate(rows):
        text.write(", ".join([str(place), *(_cell(row[name]) for name in names)]) + "\n")
    return text.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _draw(run: RunFolder, rows: Sequence[_Known], shown_metrics: Sequence[str]) -> None:
    from spleenseg.render import curves

    curves(run.losses_png, rows, ["loss", "val_loss"], "Loss")
    curves(run.metrics_png, rows, list(shown_metrics), "Metrics")
