"""Splits and folds by patient: no patient is ever on two sides."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spleenseg.errors import UserError

SPLITS = ("train", "valid", "test")
SHARES = (0.7, 0.2, 0.1)
FOLD_SEED = 12345


@dataclass(frozen=True)
class Fold:
    """One fold: the cases to train on and those held out, each sorted."""

    train: tuple[str, ...]
    valid: tuple[str, ...]


def named_by_case(patients: Mapping[str, str]) -> dict[str, str]:
    """Return case -> the first case of its patient.

    Pseudonyms come from a key that is new with every dataset; what a split or a fold is made of must not.

    Args:
        patients: case -> patient.
    """
    first: dict[str, str] = {}
    for case in sorted(patients):
        first.setdefault(patients[case], case)
    return {case: first[patient] for case, patient in patients.items()}


def split_by_patient(patients: Sequence[str], seed: int, shares: tuple[float, float, float] = SHARES) -> dict[str, str]:
    """Assign every patient to "train", "valid" or "test".

    Patients are ordered by a hash of seed and name, so the split depends on nothing else: not on their
    order, the platform or a library's random numbers. Valid and test get their rounded share, but at least
    one patient; train gets the rest.

    Args:
        patients: one entry a case or slice; repetitions do not count.
        seed: another seed gives another split.
        shares: of train, valid and test; positive, together 1.

    Returns:
        patient -> split, sorted by patient.

    Raises:
        UserError: fewer than three patients, or shares that leave a split without one.
    """
    names = sorted(set(patients), key=lambda name: (hashlib.sha256(f"{seed}:{name}".encode()).digest(), name))
    train, valid, test = require_shares(len(names), shares)
    assigned = ["train"] * train + ["valid"] * valid + ["test"] * test
    return dict(sorted(zip(names, assigned, strict=True)))


def require_shares(patients: int, shares: tuple[float, float, float]) -> tuple[int, int, int]:
    """Return how many of `patients` go to train, valid and test.

    Raises:
        UserError: shares that do not add up, or leave a split without a patient.
    """
    if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise UserError(f"the shares of train, valid and test must be positive and add up to 1, not {shares}")
    valid, test = (max(1, round(patients * share)) for share in shares[1:])
    if patients - valid - test < 1:
        raise UserError(
            f"{patients} patient{'' if patients == 1 else 's'} cannot be split into train, valid and test; "
            "each needs at least one patient (--into puts all of them in one)"
        )
    return patients - valid - test, valid, test


def kfold(case_ids: Sequence[str], patients: Sequence[str] | None = None, folds: int = 5) -> tuple[Fold, ...]:
    """Divide cases into folds by the rule that the published nnU-Net folds follow.

    The rule is scikit-learn's ``KFold(folds, shuffle=True, random_state=12345)`` over the case ids sorted as
    strings. If any patient has several cases, it is applied to the patient ids instead; ids from `named_by_case`
    give the same folds whatever the pseudonyms are.

    Args:
        case_ids: the cases, each once, in any order.
        patients: the patient of each case; None: each case is its own patient.
        folds: how many.

    Raises:
        UserError: a case is listed twice, or there are fewer patients than folds, or fewer than two folds.
    """
    if len(set(case_ids)) != len(case_ids):
        raise UserError("a case is listed twice; case ids must differ")
    owner = dict(zip(case_ids, patients if patients is not None else case_ids, strict=True))
    if len(set(owner.values())) == len(owner):
        owner = {case: case for case in case_ids}
    units = sorted(set(owner.values()))
    held_out = [frozenset(units[i] for i in chosen) for chosen in _shuffled_parts(len(units), folds)]
    cases = sorted(case_ids)
    return tuple(
        Fold(
            train=tuple(case for case in cases if owner[case] not in out),
            valid=tuple(case for case in cases if owner[case] in out),
        )
        for out in held_out
    )


def _shuffled_parts(count: int, parts: int) -> list[list[int]]:
    """Cut the shuffled numbers 0..count-1 into consecutive parts, the first ones longer by one if need be."""
    if not 2 <= parts <= count:
        raise UserError(f"{count} patients cannot be divided into {parts} folds; give 2 to {count}")
    order = np.arange(count)
    np.random.RandomState(FOLD_SEED).shuffle(order)
    return [part.tolist() for part in np.array_split(order, parts)]
