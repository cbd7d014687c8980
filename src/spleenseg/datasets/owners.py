"""Whose scan is whose: patients that share a pseudonym or an image are one, and stay together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from spleenseg.datasets.likeness import LookAlike, Print, look_alikes
from spleenseg.progress import SILENT, Reporter

_MOST_SHOWN = 5


def one_patient_each(
    patients: Mapping[str, str], prints: Mapping[str, Print], reporter: Reporter = SILENT
) -> dict[str, str]:
    """Return case -> patient, where cases of near-identical images have the same patient.

    Args:
        patients: case -> pseudonym (or the case itself).
        prints: case -> print of its image; see `likeness`.
        reporter: told which images are alike, and how many patients have several cases.

    Returns:
        The patients; of several that turn out to be one, the first by name.
    """
    pairs = look_alikes(prints)
    _tell(pairs, reporter)
    merged = dict(patients)
    for pair in pairs:
        kept, gone = sorted((merged[pair.first], merged[pair.second]))
        merged = {case: kept if patient == gone else patient for case, patient in merged.items()}
    several = sum(count > 1 for count in Counter(merged.values()).values())
    if several:
        reporter.say(f"{several} patient(s) have several cases: each patient stays on one side of every split")
    return merged


def _tell(pairs: tuple[LookAlike, ...], reporter: Reporter) -> None:
    for pair in pairs[:_MOST_SHOWN]:
        reporter.say(
            f"{pair.first} and {pair.second} show nearly the same image (correlation {pair.correlation:.2f}): "
            "taken for one patient"
        )
    if len(pairs) > _MOST_SHOWN:
        reporter.say(f"... and {len(pairs) - _MOST_SHOWN} more pairs of nearly the same image")
