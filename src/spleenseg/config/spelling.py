"""What a misspelt name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def edit_distance(a: str, b: str) -> int:
    """Return the fewest insertions, deletions, substitutions and swaps of neighbours from `a` to `b`.

    This is the optimal string alignment distance (restricted Damerau-Levenshtein).
    """
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        before, last, row = row, before, [i]
        for j, right in enumerate(b, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                best = min(best, last[j - 2] + 1)
            row.append(best)
    return row[-1]


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the name that `word` misspells, or None if none is close.

    Close means one slip in a short name and two in one of six letters or more; names of one or two
    letters have no misspellings. Underscores, hyphens, blanks and case do not count.
    """
    plain = _plain(word)
    distances = [(edit_distance(plain, _plain(name)), name) for name in known]
    close = [(distance, name) for distance, name in distances if distance <= _slips(plain, _plain(name))]
    return min(close)[1] if close else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def _slips(word: str, name: str) -> int:
    shorter = min(len(word), len(name))
    return 0 if shorter < 3 else 1 if shorter < 6 else 2
