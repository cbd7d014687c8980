from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spleenseg.datasets.folds import make_folds
from spleenseg.datasets.split import kfold, named_by_case, split_by_patient
from spleenseg.errors import UserError

# The 41 labelled cases of MSD Task09_Spleen, and the held-out cases of each fold as
# sklearn.model_selection.KFold(5, shuffle=True, random_state=12345) of scikit-learn 1.9 gives them.
MSD_FOLDS = (
    (10, 13, 14, 17, 31, 33, 44, 47, 56),
    (16, 2, 24, 27, 32, 52, 59, 60),
    (18, 19, 21, 22, 25, 29, 41, 45),
    (20, 26, 28, 3, 38, 40, 46, 53),
    (12, 49, 6, 61, 62, 63, 8, 9),
)
names = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=40)


@given(names, st.integers(0, 2**32 - 1))
def test_every_patient_is_in_exactly_one_split_and_none_is_empty(patients: list[str], seed: int) -> None:
    if len(set(patients)) < 3:
        with pytest.raises(UserError, match="at least one patient"):
            split_by_patient(patients, seed)
        return
    split = split_by_patient(patients, seed)
    assert set(split) == set(patients)
    assert set(split.values()) == {"train", "valid", "test"}


@given(names, st.randoms())
def test_order_and_repetition_do_not_change_the_split(patients: list[str], random) -> None:
    patients = [*patients, "x", "y", "z"]
    again = patients * 2
    random.shuffle(again)
    assert split_by_patient(again, 137) == split_by_patient(patients, 137)


@pytest.mark.parametrize(
    ("count", "train", "valid", "test"), [(3, 1, 1, 1), (10, 7, 2, 1), (41, 29, 8, 4), (1000, 700, 200, 100)]
)
def test_shares_are_70_20_10_of_the_patients(count: int, train: int, valid: int, test: int) -> None:
    split = Counter(split_by_patient([f"p{number}" for number in range(count)], 137).values())
    assert split == {"train": train, "valid": valid, "test": test}


def test_the_seed_decides_and_the_split_is_the_same_for_ever() -> None:
    patients = [f"p{number}" for number in range(10)]
    assert split_by_patient(patients, 1) != split_by_patient(patients, 2)
    held_out = {name: where for name, where in split_by_patient(patients, 137).items() if where != "train"}
    assert held_out == {"p1": "valid", "p4": "test", "p8": "valid"}


def test_pseudonyms_do_not_decide_who_is_held_out() -> None:
    owners = {"scan_a": "x", "scan_b": "y", "scan_c": "x", "scan_d": "z", "scan_e": "w"}
    other_key = {"x": "8f", "y": "03", "z": "77", "w": "a0"}
    again = {case: other_key[patient] for case, patient in reversed(owners.items())}
    assert named_by_case(owners) == named_by_case(again)
    assert named_by_case(owners)["scan_c"] == "scan_a"
    assert make_folds(owners, 3) == make_folds(again, 3)


@pytest.mark.parametrize("shares", [(0.7, 0.3, 0.0), (0.7, 0.2, 0.2), (1.1, -0.2, 0.1)])
def test_shares_that_leave_a_split_empty_or_do_not_add_up_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(UserError, match="add up to 1"):
        split_by_patient(["a", "b", "c"], 1, shares)


def test_folds_are_those_of_the_published_nnunet_models() -> None:
    cases = [f"spleen_{number}" for fold in MSD_FOLDS for number in fold]
    folds = kfold(cases)
    assert [list(fold.valid) for fold in folds] == [[f"spleen_{n}" for n in fold] for fold in MSD_FOLDS]
    assert all(sorted(fold.train + fold.valid) == sorted(cases) for fold in folds)


def test_folds_of_few_cases_follow_the_same_rule() -> None:
    assert [fold.valid for fold in kfold("hgfedcba", folds=3)] == [("d", "e", "h"), ("a", "b", "g"), ("c", "f")]


def test_a_patient_with_several_cases_is_never_on_two_sides() -> None:
    cases = [f"case_{number:02}" for number in range(16)]
    owners = ["hgfedcba"[number // 2] for number in range(16)]
    owner = dict(zip(cases, owners, strict=True))
    folds = kfold(cases, owners, folds=3)
    assert [{owner[case] for case in fold.valid} for fold in folds] == [set("deh"), set("abg"), set("cf")]
    assert all({owner[c] for c in fold.train}.isdisjoint(owner[c] for c in fold.valid) for fold in folds)
    assert sorted(case for fold in folds for case in fold.valid) == cases


def test_impossible_folds_are_refused() -> None:
    with pytest.raises(UserError, match="4 patients cannot be divided into 5 folds"):
        kfold(["a", "b", "c", "d"])
    with pytest.raises(UserError, match="listed twice"):
        kfold(["a", "a", "b"], folds=2)
