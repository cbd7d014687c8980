from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.remarks import Remarks

from spleenseg.config import Config, load_config
from spleenseg.datasets.folders import slice_name
from spleenseg.datasets.manifest import CaseRecord, Expectation, Manifest
from spleenseg.datasets.slices import SliceSet
from spleenseg.errors import UserError
from spleenseg.evaluation.cases import stack
from spleenseg.evaluation.evaluate import Evaluation, evaluate
from spleenseg.evaluation.passes import Packed
from spleenseg.models.run_folder import DataRecord, RunFolder, RunManifest, load_trained

from ..inference.runs import SPLEEN, brightness_run

SPACING = (0.8, 0.7, 3.0)
Scans = Mapping[str, tuple[np.ndarray, np.ndarray]]  # case -> image and mask, uint8 [z, y, x]


def write_slices(folder: Path, scans: Scans, first: int = 0) -> None:
    for kind, place in (("images", 0), ("masks", 1)):
        (folder / kind).mkdir(parents=True)
        for case, arrays in scans.items():
            for z, plane in enumerate(arrays[place], start=first):
                Image.fromarray(plane).save(folder / kind / slice_name(case, z))


def write_manifest(
    dataset: Path, scans: Scans, expectation: Expectation = SPLEEN, sheared: float = 1.0, **patients: str
) -> None:
    records = {
        case: CaseRecord(
            patient=patients.get(case, case),
            split="test",
            spacing=SPACING,
            voxel_ml=float(np.prod(SPACING)) / 1000 * sheared,
            shape=truth.shape,
            slices=len(truth),
            organ_voxels={},
            source="s",
            source_sha256="",
            labels_source="l",
            labels_sha256="",
            orientation="LPS",
        )
        for case, (_, truth) in scans.items()
    }
    facts = expectation.model_dump()
    shares = (0.7, 0.2, 0.1)
    Manifest(created_by="test", source="s", seed=1, shares=shares, cases=records, **facts).write(dataset)


def project(root: Path, scans: Scans, extra: str = "", limits: tuple[float, ...] = (0.5,), **run: object) -> Config:
    """Make a run folder whose test split are `scans`, and whose network labels pixels by brightness."""
    write_slices(root / "data" / "test", scans)
    brightness_run(root, limits, **run)
    path = root / "train_eval_infer.config"
    folders = 'image_datapath = "data/test/images"\nmask_datapath = "data/test/masks"\n'
    path.write_text(f"{path.read_text()}[test]\n{folders}[eval]\n{folders}{extra}")
    return load_config(path)


def scan(
    size: tuple[int, int, int], truth: Mapping[int, tuple[slice, slice]], found: Mapping[int, tuple[slice, slice]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return an image whose bright part is `found` and a mask of `truth`, each given by slice."""
    image, mask = np.full(size, 20, np.uint8), np.zeros(size, np.uint8)
    for array, boxes in ((image, found), (mask, truth)):
        for z, box in boxes.items():
            array[z][box] = 255
    return image, mask


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


BOX = np.s_[8:24, 4:12]  # 16 x 8 = 128 pixels
LOW = np.s_[16:24, 4:12]  # its lower half
SIZE = (4, 32, 16)


def two_cases() -> Scans:
    """Case a is found exactly; of case b only one slice of two, and something where nothing is."""
    return {
        "a": scan(SIZE, {1: BOX, 2: BOX}, {1: BOX, 2: BOX}),
        "b": scan(SIZE, {1: BOX, 2: LOW}, {1: BOX, 3: LOW}),
    }


def test_dice_is_taken_over_whole_cases_never_averaged_over_slices(tmp_path):
    result = evaluate(project(tmp_path, two_cases()))
    a, b = result.cases
    assert (a.case, a.metrics.dice, b.case) == ("a", 1.0, "b")
    assert b.metrics.dice == pytest.approx(2 * 128 / (128 + 64 + 128 + 64))
    assert b.metrics.dice != pytest.approx((1 + 0 + 0) / 3)
    assert b.metrics.sensitivity == pytest.approx(128 / 192)
    assert b.metrics.precision == pytest.approx(128 / 192)


def test_the_tables_have_the_columns_of_the_contract(tmp_path):
    result = evaluate(project(tmp_path, two_cases()))
    header = (tmp_path / "cases.csv").read_text().splitlines()[0]
    assert header == (
        "case,patient,label,dice,iou,sensitivity,precision,truth_ml,pred_ml,volume_error_ml,volume_error_pct,"
        "hd_mm,hd95_mm,assd_mm,nsd_2mm,"
        "specificity,truth_components,pred_components,missed_components,extra_components,stray_ml"
    )
    table = rows(tmp_path / "cases.csv")
    assert [(row["case"], row["patient"]) for row in table] == [("a", "a"), ("b", "b")]
    assert float(table[1]["dice"]) == pytest.approx(result.cases[1].metrics.dice, abs=1e-6)
    assert len(rows(tmp_path / "slices.csv")) == 8


def test_evaluation_csv_is_written_as_the_reference_does(tmp_path):
    evaluate(project(tmp_path, two_cases()))
    first, second = (tmp_path / "evaluation.csv").read_text().splitlines()
    assert re.fullmatch(r"loss,\d\.\d{4}", first)
    wrong = 64 + 64  # pixels of 8 slices
    assert second == f"binary_accuracy,{1 - wrong / (8 * 512):.4f}"


def test_loss_and_metrics_are_those_of_the_training_on_the_same_slices(tmp_path):
    from spleenseg.datasets.targets import hard_target
    from spleenseg.models.build import logits_model
    from spleenseg.training.keras_metrics import build_metrics
    from spleenseg.training.losses import build_loss

    noise = np.random.default_rng(1).integers(0, 256, (5, 32, 16), np.uint8)
    mask = np.where(noise > 90, 255, 0).astype(np.uint8)
    path = project(tmp_path, {"a": (noise, mask)}, metrics=["dice_coef", "sensitivity"]).path
    config = load_config(path, ["test.batch_size=2"])  # five slices: the last batch is short
    result = evaluate(config)
    learner = logits_model(load_trained(config).model)
    learner.compile(loss=build_loss("bce_dice_loss"), metrics=build_metrics(["dice_coef", "sensitivity"]))
    slices = SliceSet.from_config(config, "test")
    images = np.stack([slices.image(index) for index in range(5)]).astype(np.float32)
    targets = np.stack([hard_target(slices.labels(index), 1) for index in range(5)])
    logs = learner.evaluate(images, targets, batch_size=2, verbose=0, return_dict=True)
    assert result.figures == pytest.approx({name: float(value) for name, value in logs.items()}, rel=1e-5)


def test_known_spacing_gives_volumes_and_distances(tmp_path):
    scans = {"a": scan((4, 40, 24), {1: BOX, 2: BOX}, {1: BOX, 2: LOW})}
    config = project(tmp_path, scans)
    write_manifest(tmp_path / "data", scans, a="p1")
    (row,) = evaluate(config).cases
    ml = 0.8 * 0.7 * 3.0 / 1000
    assert row.patient == "p1"
    assert row.label == "spleen"
    assert row.metrics.truth_ml == pytest.approx(256 * ml)
    assert row.metrics.pred_ml == pytest.approx(row.metrics.truth_ml * 0.75, rel=0.1)  # seen at 16x32 pixels
    assert row.metrics.volume_error_ml == pytest.approx(row.metrics.pred_ml - row.metrics.truth_ml)
    assert 0 < row.metrics.assd_mm < row.metrics.hd95_mm <= row.metrics.hd_mm


def test_volumes_on_a_sheared_grid_are_those_of_its_voxels(tmp_path):
    config = project(tmp_path, two_cases())
    write_manifest(tmp_path / "data", two_cases(), sheared=0.9)
    for row in evaluate(config).cases:
        assert row.metrics.pred_ml == pytest.approx(row.metrics.truth_ml + row.metrics.volume_error_ml)
    assert evaluate(config).cases[0].metrics.truth_ml == pytest.approx(256 * 0.8 * 0.7 * 3.0 / 1000 * 0.9)


def test_without_a_manifest_millimetres_and_millilitres_stay_empty(tmp_path):
    evaluate(project(tmp_path, two_cases()))
    for row in rows(tmp_path / "cases.csv"):
        assert row["dice"]
        assert {
            row[name] for name in ("truth_ml", "pred_ml", "volume_error_ml", "hd_mm", "hd95_mm", "assd_mm", "nsd_2mm")
        } == {""}


def test_a_case_that_lacks_slices_has_no_volume_and_is_warned_of(tmp_path):
    scans = two_cases()
    config = project(tmp_path, scans)
    write_manifest(tmp_path / "data", scans)
    for kind in ("images", "masks"):
        (tmp_path / "data" / "test" / kind / slice_name("b", 3)).unlink()
    remarks = Remarks()
    a, b = evaluate(config, reporter=remarks).cases
    assert a.metrics.truth_ml is not None
    assert b.metrics.truth_ml is None
    assert b.metrics.dice == pytest.approx(2 * 128 / (192 + 128))
    assert [line for line in remarks.warnings if line.startswith("b is not as it was prepared")]


def test_slices_are_put_together_by_number_not_by_the_order_of_names(tmp_path):
    rng = np.random.default_rng(2)
    mask = (rng.random((12, 4, 2)) > 0.5).repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8) * 255
    scans = {case: (np.roll(mask, z, axis=0), mask) for case, z in (("b", 0), ("a", 1))}
    config = project(tmp_path, scans)
    write_manifest(tmp_path / "data", scans)
    a, b = evaluate(config).cases
    assert (b.metrics.dice, b.metrics.hd_mm) == (1, 0)
    assert a.metrics.dice < 0.8
    assert a.metrics.hd_mm > 0


def test_slices_without_the_organ_count_false_pixels_and_not_in_the_slice_mean(tmp_path):
    result = evaluate(project(tmp_path, two_cases()))
    (label,) = result.labels
    assert label.slices.n == 4
    assert result.headline() == f"{label.label}: mean Dice 0.8333 over all 2 cases (worst 0.6667 in b)"
    assert "mean slice Dice 0.7500 over 4 slices with it; 64 false pixels on 4 slices" in result.summary()
    assert label.slices.mean == pytest.approx((1 + 1 + 1 + 0) / 4)
    assert (label.empty_slices, label.false_positive_pixels) == (4, 64)
    table = {(row["case"], row["index"]): row for row in rows(tmp_path / "slices.csv")}
    assert table["b", "3"]["false_positive_pixels"] == "64"
    assert table["b", "2"]["dice"] == "0.0"
    assert table["b", "1"]["dice"] == "1.0"


def test_the_headline_is_the_mean_over_cases_with_truth_beside_the_mean_over_all(tmp_path):
    scans = {**two_cases(), "c": scan(SIZE, {}, {}), "d": scan(SIZE, {}, {0: LOW})}
    result = evaluate(project(tmp_path, scans))
    (label,) = result.labels
    b = 2 / 3
    assert (label.positive.n, label.every.n) == (2, 4)
    assert result.mean_dice == label.positive.mean == pytest.approx((1 + b) / 2)
    assert label.every.mean == pytest.approx((1 + b + 1 + 0) / 4)
    assert label.worst.case == "b"
    line = "spleen: mean Dice 0.8333 over 2 cases with it (worst 0.6667 in b); 0.6667 over all 4 cases"
    assert result.headline() == line.replace("spleen", label.label)
    assert "loss" in result.summary()
    assert str(tmp_path / "cases.csv") in result.summary()


def test_cases_empty_on_both_sides_may_be_left_out_of_the_means_as_nnunet_does(tmp_path):
    scans = {**two_cases(), "c": scan(SIZE, {}, {}), "d": scan(SIZE, {}, {0: LOW})}
    result = evaluate(project(tmp_path, scans), empty="nan")
    (label,) = result.labels
    assert result.mean_dice == pytest.approx((1 + 2 / 3) / 2)
    assert (label.every.n, label.undefined) == (3, 1)
    assert label.every.mean == pytest.approx((1 + 2 / 3 + 0) / 3)
    left_out = "0.5556 over 3 cases (1 case left out, empty in truth and prediction)"
    assert result.headline().endswith(f"(worst 0.6667 in b); {left_out}")
    assert [row["dice"] for row in rows(tmp_path / "cases.csv")] == ["1.0", "0.666667", "", "0.0"]


def test_a_split_without_any_organ_is_evaluated_without_a_headline(tmp_path):
    result = evaluate(project(tmp_path, {"c": scan(SIZE, {}, {}), "d": scan(SIZE, {}, {0: LOW})}))
    (label,) = result.labels
    assert result.mean_dice is None
    assert label.slices.n == 0
    assert label.worst.case == "d"
    assert "in no case of the truth" in result.headline()


def test_several_labels_have_a_row_each_and_a_mean_over_labels(tmp_path):
    image, mask = np.full(SIZE, 20, np.uint8), np.zeros(SIZE, np.uint8)
    image[1][BOX], mask[1][BOX] = 128, 1
    image[2][BOX], mask[2][LOW] = 250, 2
    scans = {"a": (image, mask), "b": (image, mask * 0)}
    labels = SPLEEN.model_copy(update={"labels": {"spleen": 1, "liver": 2}})
    config = project(tmp_path, scans, limits=(0.3, 0.7), num_classes=3, expectation=labels)
    write_manifest(tmp_path / "data", scans, labels)
    result = evaluate(config)
    assert [(row.case, row.label) for row in result.cases] == [
        ("a", "spleen"),
        ("a", "liver"),
        ("b", "spleen"),
        ("b", "liver"),
    ]
    assert [row.metrics.dice for row in result.cases] == pytest.approx([1, 2 * 64 / 192, 0, 0])
    assert result.mean_dice == pytest.approx((1 + 2 / 3) / 2)
    assert len(rows(tmp_path / "slices.csv")) == 16


@pytest.mark.parametrize("size", [(40, 24), (24, 40), (64, 64), (31, 17)])
def test_masks_are_compared_at_the_files_own_size(tmp_path, size):
    mask = np.zeros((2, *size), np.uint8)
    mask[:, size[0] // 4 : 3 * size[0] // 4, size[1] // 4 : 3 * size[1] // 4] = 255
    (row,) = evaluate(project(tmp_path, {"a": (mask, mask)})).slices[:1]
    assert row.truth_pixels == (mask[0] > 0).sum()
    assert row.dice > 0.85


def test_masks_of_an_evaluation_are_never_blurred_and_slices_never_augmented(tmp_path):
    plain = evaluate(project(tmp_path / "a", two_cases()))
    extra = "[mask]\nblur = True\nblur_size = (7,7)\n[generator]\naugmentation = True\n[augmentor]\nrotation = True\n"
    changed = evaluate(project(tmp_path / "b", two_cases(), extra, generator=True))
    assert (changed.figures, changed.cases, changed.slices) == (plain.figures, plain.cases, plain.slices)


def test_evaluating_again_replaces_our_tables_and_nothing_else(tmp_path):
    config = project(tmp_path, two_cases())
    evaluate(config)
    names = ("evaluation.csv", "cases.csv", "slices.csv")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    (tmp_path / "cases.csv").write_text("half")
    (tmp_path / "notes.txt").write_text("mine")
    files = {path for path in tmp_path.rglob("*") if path.is_file()}
    evaluate(config)
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == files


def test_the_split_is_the_one_the_config_names_unless_given(tmp_path):
    config = project(tmp_path, two_cases(), evaluation="eval")
    assert evaluate(config).section == "eval"
    assert evaluate(config, section="test").section == "test"
    assert evaluate(config, section="valid").section == "eval"
    for wrong in ("infer", "tets", ""):
        with pytest.raises(UserError, match=rf"--section {wrong}.*cannot be .*; use train, eval \(or valid"):
            evaluate(config, section=wrong)
    assert evaluate(tmp_path / "train_eval_infer.config", overrides=["infer.threshold=0.9"]).section == "eval"


@pytest.mark.parametrize(("section", "size"), [("test", 3), ("eval", 2), ("train", 2)])
def test_each_section_is_evaluated_in_its_own_batches(tmp_path, monkeypatch, section, size):
    from spleenseg.evaluation import passes

    sizes, engine = [], passes.KerasEngine

    def recorded(model, batch_size):
        sizes.append(batch_size)
        return engine(model, batch_size)

    monkeypatch.setattr(passes, "KerasEngine", recorded)
    path = project(tmp_path, two_cases()).path
    folders = [f"train.{kind}_datapath=data/test/{kind}s" for kind in ("image", "mask")]
    changed = ["test.batch_size=3", "eval.batch_size=2", "train.batch_size=1", *folders]
    evaluate(path, overrides=changed, section=section)
    assert sizes == [size]


def test_the_threshold_of_the_config_decides(tmp_path):
    image, mask = scan(SIZE, {1: BOX}, {1: BOX})
    image[image == 255] = 129  # probability 0.76
    config = project(tmp_path, {"a": (image, mask)})
    assert evaluate(config).mean_dice == 1
    assert evaluate(config.path, overrides=["infer.threshold=0.9"]).mean_dice == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"display": "reference"}, "display radiological, [test] has reference"),
        ({"pixel_mm": 0.7}, "pixel_mm None, [test] has 0.7"),
        ({"labels": {"liver": 1}}, "labels {'spleen': 1}, [test] has {'liver': 1}"),
    ],
)
def test_slices_shown_otherwise_than_in_training_are_warned_of(tmp_path, change, said):
    config = project(tmp_path, two_cases())
    write_manifest(tmp_path / "data", two_cases(), SPLEEN.model_copy(update=change))
    remarks = Remarks()
    evaluate(config, reporter=remarks)
    (line,) = [line for line in remarks.warnings if line.startswith("the network was trained with")]
    assert said in line


def test_cases_that_were_trained_on_are_warned_of_and_remarked(tmp_path):
    """By patient where that is known: another scan of a patient is no new patient."""
    config, remarks = project(tmp_path, two_cases()), Remarks()
    trained = {"train": DataRecord(slices=4, patients=1, sha256="", cases={"a": "", "elsewhere": ""})}
    run = RunFolder.of(config).manifest
    RunManifest.read(run).model_copy(update={"data": trained}).write(run)
    line = "by their names, 1 of the 2 cases of [test] are of patients that the network was trained on (a): "
    found = evaluate(config, reporter=remarks).findings.remarks
    assert [warning for warning in remarks.warnings if warning.startswith(line)]
    assert [remark for remark in found if remark.startswith(line.replace("by", "By", 1))]
    write_manifest(tmp_path / "data", two_cases(), a="p", b="p")
    assert any("2 of the 2 cases of [test]" in remark for remark in evaluate(config).findings.remarks)


@pytest.mark.parametrize("lost", ["mask", "model"])
def test_what_is_missing_is_named_and_no_table_is_written(tmp_path, lost):
    config = project(tmp_path, two_cases())
    if lost == "mask":
        (tmp_path / "data" / "test" / "masks" / slice_name("a", 1)).unlink()
    else:
        (tmp_path / "run.json").unlink()
    with pytest.raises(UserError, match="has no mask" if lost == "mask" else r"run\.json"):
        evaluate(config)
    assert not (tmp_path / "cases.csv").exists()


def test_a_misspelled_metric_is_named_before_any_work(tmp_path):
    config = project(tmp_path, two_cases())
    config.path.write_text(config.path.read_text().replace("binary_accuracy", "binary_acuracy"))
    with pytest.raises(UserError, match=r"\[model\] metrics \(line \d+\).*did you mean 'binary_accuracy'"):
        evaluate(config.path)


def test_slices_of_unequal_size_are_filled_up_with_background():
    planes = [np.ones((2, 3), np.uint8), np.full((4, 1), 2, np.uint8)]
    volume = stack([Packed.of(plane) for plane in planes])
    assert volume.shape == (2, 4, 3)
    for plane, original in zip(volume, planes, strict=True):
        np.testing.assert_array_equal(plane[: original.shape[0], : original.shape[1]], original)
        assert plane.sum() == original.sum()


def test_real_slices_are_evaluated_by_case(tmp_path, real_data):
    source = real_data / "msd-spleen-slices"
    brightness_run(tmp_path, [0.4], image_width=512, image_height=512)
    path = tmp_path / "train_eval_infer.config"
    folders = f'image_datapath = "{source / "images"}"\nmask_datapath = "{source / "masks"}"\n'
    path.write_text(f"{path.read_text()}[test]\n{folders}")
    result: Evaluation = evaluate(path)
    assert len(result.cases) == 10
    assert (len(result.slices), result.labels[0].positive.n) == (18, 10)
    counts: dict[str, list[int]] = {}
    for image in sorted((source / "images").iterdir()):
        found = np.asarray(Image.open(image).convert("L")) >= 102
        truth = np.asarray(Image.open(source / "masks" / image.name).convert("L")) >= 128
        both, total = counts.setdefault(image.stem.split("_", 1)[1], [0, 0])
        counts[image.stem.split("_", 1)[1]] = [both + (found & truth).sum(), total + found.sum() + truth.sum()]
    expected = {case: 2 * both / total for case, (both, total) in counts.items()}
    assert {row.case: row.metrics.dice for row in result.cases} == pytest.approx(expected)


def test_the_network_that_was_trained_counts_whatever_size_the_config_says_by_now(tmp_path):
    mask = np.zeros((2, 32, 16), np.uint8)
    mask[:, 8:24, 4:12] = 255
    config, remarks = project(tmp_path, {"a": (mask, mask)}), Remarks()
    before = evaluate(config).figures
    changed = load_config(config.path, ["model.image_width=32", "model.image_height=64"])
    assert evaluate(changed, reporter=remarks).figures == before
    assert any("image_width is 32 now" in line for line in remarks.warnings)


def test_the_network_gets_the_neighbours_it_was_trained_with_whatever_the_config_says_by_now(tmp_path):
    near = SPLEEN.model_copy(update={"context": 1})
    config, remarks = project(tmp_path, two_cases(), expectation=near), Remarks()
    before = evaluate(config)
    changed = load_config(config.path, ["dataset.context=0"])
    after = evaluate(changed, reporter=remarks)
    assert (after.figures, after.cases) == (before.figures, before.cases)
    assert "[dataset] context is 0 now, but the run was trained with 1, which counts" in remarks.warnings
    assert len([line for line in remarks.warnings if "which counts" in line]) == 1
