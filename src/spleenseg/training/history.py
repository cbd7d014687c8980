"""The files in which a training shows itself: the reference's CSVs and curves, and `history.json`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from spleenseg.files import write_json, write_text
from spleenseg.models.run_folder import RunFolder

Row = Mapping[str, float]


def write_history(run: RunFolder, rows: Sequence[Row], shown_metrics: Sequence[str]) -> None:
    """Write everything a finished epoch changes; each file is replaced as a whole.

    Args:
        run: the run folder.
        rows: one mapping of figures per epoch, with `epoch`, `loss` and `val_loss`.
        shown_metrics: the columns of train_metrics.csv ([train] metrics).
    """
    write_json(run.history, {key: [row.get(key) for row in rows] for key in rows[-1]} if rows else {})
    if not rows:
        return
    write_text(run.losses_csv, _table(rows, ["loss", "val_loss"], header="epoch, loss, val_loss\n"))
    header = "epoch," + "".join(f"{name}," for name in shown_metrics) + "\n"
    write_text(run.metrics_csv, _table(rows, shown_metrics, header))
    _draw(run, rows, shown_metrics)


def _table(rows: Sequence[Row], names: Sequence[str], header: str) -> str:
    """Lay the columns out as the reference does: `0, 0.4259, 0.3754`."""
    text = io.StringIO()
    text.write(header)
    for row in rows:
        text.write(", ".join([str(int(row["epoch"])), *(f"{row[name]:.4f}" for name in names)]) + "\n")
    return text.getvalue()


def _draw(run: RunFolder, rows: Sequence[Row], shown_metrics: Sequence[str]) -> None:
    from spleenseg.render import curves

    curves(run.losses_png, rows, ["loss", "val_loss"], "Loss")
    curves(run.metrics_png, rows, list(shown_metrics), "Metrics")
