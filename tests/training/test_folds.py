"""Cross-validation: what a fold draws from, its run folder, going on, and one table of all cases."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.remarks import Remarks

from spleenseg.config import load_config
from spleenseg.datasets.check import read_section
from spleenseg.errors import UserError
from spleenseg.evaluation.folds import evaluate_folds
from spleenseg.progress import Silent
from spleenseg.training.folds import FoldJob, train_folds
from spleenseg.training.train import train

from .conftest import CONFIG

CASES = "abcdef"


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """A project over six patients, the last of them in test, divided into three folds."""
    root = tmp_path / "project"
    for split, patients in (("train", "abcd"), ("valid", "e"), ("test", "f")):
        for patient in patients:
            write_patient(root / "data" / split, patient)
    folds = [
        {"train": sorted(set(CASES) - set(out)), "val": list(out)} for out in ("ab", "cd", "ef")
    ]  # fold 2 holds out a case of valid and one of test
    (root / "data" / "splits_final.json").write_text(json.dumps(folds))
    config = root / "train_eval_infer.config"
    text = CONFIG.replace("epochs          = 2", "epochs = 1").replace("steps_per_epoch = 3", "steps_per_epoch = 2")
    config.write_text(text, encoding="utf-8")
    return config


def write_patient(folder: Path, patient: str) -> None:
    """Write four slices that look like no other patient's."""
    rng = np.random.default_rng(ord(patient))
    background = np.kron(rng.integers(20, 130, (8, 8)), np.ones((4, 4)))
    y, x = np.mgrid[:32, :32]
    for z in range(4):
        disc = (y - 12 - z) ** 2 + (x - 14) ** 2 < 36
        for kind, array in (("images", np.where(disc, 200, background)), ("masks", disc * 255)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(folder / kind / f"{10000 + z}_{patient}.png")


def cases_of(config: Path, section: str, *overrides: str) -> set[str]:
    return {file.case for file in read_section(load_config(config, overrides), section).files}


def test_a_fold_draws_from_every_split_and_holds_its_cases_out(cohort: Path) -> None:
    assert cases_of(cohort, "train", "dataset.fold=2") == set("abcd")
    assert cases_of(cohort, "eval", "dataset.fold=2") == set("ef")
    assert cases_of(cohort, "eval") == {"e"}


def test_augmented_copies_are_trained_on_and_never_held_out(cohort: Path) -> None:
    data = cohort.parent / "data" / "train"
    for kind in ("images", "masks"):
        shutil.copy(data / kind / "10000_a.png", data / kind / "rotated_5_10000_a.png")
    names = {
        section: [file.name for file in read_section(load_config(cohort, ["dataset.fold=" + fold]), section).files]
        for section, fold in (("train", "1"), ("eval", "0"))
    }
    assert "rotated_5_10000_a.png" in names["train"]
    assert "rotated_5_10000_a.png" not in names["eval"]
    assert "10000_a.png" in names["eval"]


def test_test_patients_that_a_fold_trains_on_are_refused(cohort: Path) -> None:
    with pytest.raises(UserError, match=r"fold .*trains on f of \[test\]"):
        read_section(
            load_config(
                cohort,
                ["dataset.fold=0", "test.image_datapath=./data/test/images", "test.mask_datapath=./data/test/masks"],
            ),
            "test",
        )


@pytest.mark.parametrize("which", ["3", "-1", "some", "0,1"])
def test_a_fold_that_is_not_there_is_refused(cohort: Path, which: str) -> None:
    with pytest.raises(UserError, match="give all, or a number from 0 to 2"):
        train_folds(cohort, which)


class Elsewhere:
    """An executor that only takes note."""

    def __init__(self) -> None:
        self.jobs: list[FoldJob] = []

    def run(self, jobs: list[FoldJob], reporter: object) -> None:
        self.jobs += jobs


def test_an_executor_gets_jobs_that_need_nothing_but_their_config(cohort: Path) -> None:
    elsewhere = Elsewhere()
    done = train_folds(cohort, overrides=["train.seed=5"], executor=elsewhere)
    assert done.unfinished == (0, 1, 2)
    own = load_config(elsewhere.jobs[1].config)
    base = load_config(cohort, ["train.seed=5"])
    assert own.folder == base.folder / "fold_1"
    assert own.dataset.fold == 1
    assert own.train.image_datapath == base.train.image_datapath
    assert own.train.model_dir == base.folder / "fold_1" / "models"
    assert own.train.seed == 5
    assert own.augmentor == base.augmentor
    assert own.warnings == ()
    assert elsewhere.jobs[1].command == ("spleenseg", "train", str(own.path))


def test_folds_do_not_share_what_lies_outside_of_their_folder(cohort: Path, tmp_path: Path) -> None:
    """One file of weights for all folds would judge each fold by a network that saw its cases."""
    away, elsewhere = tmp_path / "away", Elsewhere()
    settings = [f"train.model_dir={away / 'm'}", "train.eval_dir=../e", f"inspect.model_graph={away / 'net.png'}"]
    runs = train_folds(cohort, overrides=settings, executor=elsewhere).runs
    own = [load_config(job.config) for job in elsewhere.jobs]
    assert [run.models_dir for run in runs] == [away / "m" / f"fold_{number}" for number in range(3)]
    assert [config.train.model_dir for config in own] == [run.models_dir for run in runs]
    assert [config.train.eval_dir for config in own] == [tmp_path / "e" / f"fold_{number}" for number in range(3)]
    assert own[1].inspect.model_graph == away / "fold_1" / "net.png"


def test_folds_are_trained_resumed_and_evaluated_over_every_case_once(cohort: Path) -> None:
    train_folds(cohort, "1")
    with pytest.raises(UserError, match="fold 0, 2 of 3 is not trained to its end"):
        evaluate_folds(cohort)
    before = (cohort.parent / "fold_1" / "run.json").read_bytes()
    done = train_folds(cohort, resume=True)
    assert (done.trained, done.skipped, done.unfinished) == ((0, 2), (1,), ())
    assert (cohort.parent / "fold_1" / "run.json").read_bytes() == before
    result = evaluate_folds(cohort)
    with (cohort.parent / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == list(CASES)
    assert result.findings.labels[0].figures["dice"].ci95 is not None
    assert (cohort.parent / "summary.csv").is_file()
    held = json.loads((cohort.parent / "fold_2" / "run.json").read_text())
    assert held["patient_overlap"] == {}
    assert held["data"]["valid"]["patients"] == 2


def test_folds_of_other_settings_are_refused_or_said_and_told_in_the_report(cohort: Path) -> None:
    """A mean over the cases of different networks is the figure of none."""
    remarks, rate = Remarks(), "model.learning_rate=0.002"
    train_folds(cohort, "0")
    with pytest.raises(UserError, match=r"fold 0 is finished, but \[model\] base_filters is 8 now, .*--folds 0"):
        train_folds(cohort, overrides=["model.base_filters=8"], resume=True)
    assert not (cohort.parent / "fold_1").exists()
    train_folds(cohort, overrides=[rate, "train.threads=1"], resume=True, reporter=remarks)
    kept = "fold 0 is finished and stays as it was trained: [model] learning_rate is 0.01, not 0.002"
    assert [line for line in remarks.lines if "stays as it was" in line] == [kept]
    told = "Fold 1 was trained otherwise than fold 0: [model] learning_rate is 0.002, not 0.01."
    assert told in evaluate_folds(cohort).findings.remarks


def test_a_file_in_the_place_of_a_folds_config_is_kept(cohort: Path) -> None:
    path = cohort.parent / "fold_0" / cohort.name
    path.parent.mkdir()
    path.write_text("mine")
    for overrides in ([], [], ["train.epochs=3"]):
        train_folds(cohort, "0", executor=Elsewhere(), overrides=overrides)
    kept = sorted(path.parent.glob(f"{path.name}_*_bak*"))
    assert len(kept) == 2
    assert "mine" in [old.read_text() for old in kept]


class StopAtTheEnd(Silent):
    """Asks to stop once the last epoch is said to be done, while its files are written."""

    def say(self, message: str) -> None:
        if message.startswith("epoch 1/1"):
            signal.raise_signal(signal.SIGTERM)


def test_a_stop_at_the_end_of_a_fold_is_not_lost_to_the_next(cohort: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_folds(cohort, reporter=StopAtTheEnd())
    assert json.loads((cohort.parent / "fold_0" / "run.json").read_text())["finished"] is not None
    assert not (cohort.parent / "fold_1" / "run.json").exists()


def test_a_fold_that_was_trained_on_other_cases_is_neither_judged_nor_taken_for_finished(cohort: Path) -> None:
    train_folds(cohort, "0")
    for number in (1, 2):  # as if the folds of the dataset had changed places since
        shutil.copytree(cohort.parent / "fold_0", cohort.parent / f"fold_{number}")
    with pytest.raises(UserError, match=r"fold 1 was trained on the patient of c, .*splits_final\.json .*--folds 1"):
        evaluate_folds(cohort)
    elsewhere = Elsewhere()
    assert train_folds(cohort, "0", resume=True, executor=elsewhere).skipped == (0,)
    with pytest.raises(UserError, match=r"fold 2 was trained without the case a, unlike .* says now; put back"):
        train_folds(cohort, "2", resume=True, executor=elsewhere)
    assert train_folds(cohort, "2", executor=elsewhere).trained == (2,)


def test_a_broken_fold_is_continued_where_it_stopped(cohort: Path) -> None:
    elsewhere = Elsewhere()
    train_folds(cohort, "0", executor=elsewhere)
    train(elsewhere.jobs[0].config)
    manifest = cohort.parent / "fold_0" / "run.json"
    broken = {**json.loads(manifest.read_text()), "finished": None}
    manifest.write_text(json.dumps(broken))
    said = train_folds(cohort, "0", overrides=["train.epochs=2"], resume=True)
    assert said.trained == (0,)
    history = json.loads((cohort.parent / "fold_0" / "history.json").read_text())
    assert history["epoch"] == [0, 1]
