from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spleenseg.datasets.cases import CasePaths, split_slices
from spleenseg.datasets.check import check_sections, read_section, require_pictures
from spleenseg.datasets.fit import fit_mask, fit_size
from spleenseg.datasets.identity import data_hash
from spleenseg.datasets.manifest import find_manifest
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.slices import SliceSet
from spleenseg.datasets.stacks import reach
from spleenseg.errors import UserError
from spleenseg.files import sha256
from spleenseg.volumes import apply_window, read_labels, read_volume

WINDOWS = ((-160, 240), (-1000, 400))


@pytest.fixture
def dataset(make_cohort, tmp_path: Path) -> Path:
    """A volume dataset of five cases [6, 20, 24] where the configs of `make_config` look for one."""
    prepare(make_cohort(5), tmp_path / "data", layout="volumes")
    return tmp_path / "data"


def test_cases_are_kept_in_hu_with_their_labels_and_geometry(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3)
    manifest = prepare(source, tmp_path / "data", layout="volumes")
    for case, record in manifest.cases.items():
        volume, paths = read_volume(source / record.source), CasePaths.of(tmp_path / "data", case)
        assert np.array_equal(np.load(paths.hu), volume.array)
        assert np.array_equal(np.load(paths.labels), read_labels(source / record.labels_source, like=volume))
        geometry = json.loads(paths.geometry.read_text())
        assert geometry["shape"] == [6, 20, 24]
        assert np.allclose(geometry["affine"], volume.affine)
        assert np.allclose(geometry["stored_affine"], volume.stored.affine)
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"cases", "labels", "manifest.json"}


def test_a_config_for_pictures_reads_volumes_too(dataset: Path, make_config) -> None:
    config = make_config("model.image_channels=1")
    check_sections(config, ("train", "eval", "test"))
    manifest = find_manifest(dataset)
    found = [file.case for name in ("train", "eval", "test") for file in read_section(config, name).files]
    assert len(found) == 5 * 6
    assert set(found) == set(manifest.cases)
    slices = SliceSet.from_config(config, "train")
    for index, file in enumerate(slices.files):
        paths = CasePaths.of(dataset, file.case)
        hu, labels = np.load(paths.hu)[file.index], np.load(paths.labels)[file.index]
        shown = fit_size(apply_window(hu, (-160, 240)), config)
        assert np.array_equal(slices.image(index)[..., 0], shown)
        assert np.array_equal(slices.labels(index), fit_mask(labels, config))
        assert np.array_equal(slices.native_labels(index), labels)


@pytest.mark.parametrize("written", ["train", "train/", "train/images", "train/images/"])
def test_a_split_is_named_with_or_without_its_folder_of_images(dataset: Path, written: str) -> None:
    manifest, files = split_slices(dataset / written)
    assert {file.case for file in files} == {case for case, known in manifest.cases.items() if known.split == "train"}


def test_what_names_no_split_is_refused_with_the_names_that_would_do(dataset: Path, make_config) -> None:
    with pytest.raises(UserError, match=r"\[train\] image_datapath .*names no split .*data/train or "):
        read_section(make_config(f'train.image_datapath="{dataset}"'), "train")
    manifest = json.loads((dataset / "manifest.json").read_text())
    for record in manifest["cases"].values():
        record["split"] = "train"
    (dataset / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"\[eval\] .* has no case in its split 'valid'"):
        read_section(make_config(), "eval")


def test_windows_and_neighbours_are_the_channels_window_after_window(dataset: Path, make_config) -> None:
    config = make_config("dataset.context=1", f"dataset.windows={list(WINDOWS)}", "model.image_channels=6")
    slices = SliceSet.from_config(config, "train")
    assert slices.expectation.windows == WINDOWS
    assert slices.expectation.window_hu == WINDOWS[0]
    assert slices.expectation.channels == 6
    for index, file in enumerate(slices.files):
        hu = np.load(CasePaths.of(dataset, file.case).hu)
        near = np.clip([file.index - 1, file.index, file.index + 1], 0, 5)
        wanted = [fit_size(apply_window(hu[z], window), config) for window in WINDOWS for z in near]
        assert np.array_equal(slices.image(index), np.stack(wanted, axis=-1))


def test_three_windows_are_not_taken_for_colours(dataset: Path, make_config) -> None:
    windows = [*WINDOWS, (0, 100)]
    config = make_config(f"dataset.windows={windows}", "model.image_channels=3", 'dataset.color_order="bgr"')
    slices = SliceSet.from_config(config, "train")
    hu = np.load(slices.files[0].image)[0]
    wanted = np.stack([fit_size(apply_window(hu, window), config) for window in windows], axis=-1)
    assert np.array_equal(slices.image(0), wanted)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("dataset.context=1", f"dataset.windows={list(WINDOWS)}"), r"must be 6 \(2 \[dataset\] windows x \(1 \+ 2 x"),
        ((f"dataset.windows={list(WINDOWS)}",), r"must be 2 \(2 \[dataset\] windows"),
        (("dataset.windows=[(240, -160)]",), r"low below high"),
        (("dataset.windows=[]",), r"a list, each entry \(low, high\)"),
    ],
)
def test_impossible_channels_and_windows_are_one_line_with_the_right_number(make_config, overrides, message) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make_config(*overrides)
    assert "\n" not in str(caught.value)


def test_windows_of_pictures_are_refused(make_cohort, make_config, tmp_path: Path) -> None:
    prepare(make_cohort(3), tmp_path / "data")
    config = make_config(f"dataset.windows={list(WINDOWS)}", "model.image_channels=2")
    with pytest.raises(UserError, match=r"\[dataset\] windows .*--format volumes"):
        read_section(config, "train")


def test_augmented_copies_of_volumes_are_refused(dataset: Path, make_config) -> None:
    with pytest.raises(UserError, match=r"augment run needs pictures, .*--format slices"):
        require_pictures(read_section(make_config(), "train"), "augment run")


@pytest.mark.parametrize(
    ("context", "context_mm", "slice_mm", "wanted"),
    [
        (0, None, None, (0,)),
        (2, None, None, (-2, -1, 0, 1, 2)),
        (2, 5.0, 5.0, (-2, -1, 0, 1, 2)),
        (1, 5.0, 1.0, (-5, 0, 5)),
        (2, 4.0, 2.5, (-3, -2, 0, 2, 3)),
        (1, 2.0, 5.0, (0, 0, 0)),
    ],
)
def test_neighbours_are_the_slices_nearest_to_the_distance(context, context_mm, slice_mm, wanted) -> None:
    assert reach(context, context_mm, slice_mm) == wanted


@pytest.mark.parametrize("layout", ["slices", "volumes"])
def test_neighbours_at_a_distance_follow_the_spacing_of_the_case(make_cohort, make_config, tmp_path, layout) -> None:
    prepare(make_cohort(3), tmp_path / "data", layout=layout)  # slices 5 mm apart
    slices = SliceSet.from_config(
        make_config("dataset.context=1", "dataset.context_mm=10", "model.image_channels=3"), "train"
    )
    grey = [slices.image(index)[..., 1] for index in range(6)]
    for index in range(6):
        assert np.array_equal(slices.image(index)[..., 0], grey[max(index - 2, 0)])
        assert np.array_equal(slices.image(index)[..., 2], grey[min(index + 2, 5)])
    assert slices.expectation.context_mm == 10


def test_a_distance_needs_a_dataset_that_knows_its_own(save_pairs, make_config) -> None:
    save_pairs()
    config = make_config("dataset.context=1", "dataset.context_mm=10", "model.image_channels=3")
    with pytest.raises(UserError, match=r"\[dataset\] context .*context_mm needs a prepared dataset"):
        SliceSet.from_config(config, "train")


def test_a_mirrored_display_mirrors_image_and_labels(make_cohort, make_config, tmp_path: Path) -> None:
    prepare(make_cohort(3), tmp_path / "data", layout="volumes", display="reference")
    slices = SliceSet.from_config(make_config("model.image_channels=1"), "train")
    hu, labels = (np.load(path)[2] for path in (slices.files[2].image, slices.files[2].mask))
    assert np.array_equal(slices.native_labels(2), labels[:, ::-1])
    assert np.array_equal(slices.image(2)[..., 0], fit_size(apply_window(hu[:, ::-1], (-160, 240)), make_config()))


def test_several_labels_are_kept_in_volumes(make_cohort, make_config, tmp_path: Path) -> None:
    prepare(make_cohort(3, {1: "spleen", 2: "liver"}), tmp_path / "data", layout="volumes")
    config = make_config("model.num_classes=3", 'model.final_activation="softmax"')
    assert set(np.unique(SliceSet.from_config(config, "train").native_labels(2))) == {0, 1, 2}


def test_damaged_and_missing_cases_are_named(dataset: Path, make_config) -> None:
    (file, *_) = read_section(make_config(), "train").files
    whole = file.image.read_bytes()
    file.image.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=rf"{file.case}\.npy is damaged or cut short"):
        check_sections(make_config(), ("train",))
    file.image.unlink()
    with pytest.raises(UserError, match=rf"{file.case}\.npy is missing"):
        SliceSet.from_config(make_config(), "train")
    np.save(file.image, np.zeros((6, 20, 24), np.float32))
    with pytest.raises(UserError, match=r"no array of a prepared case"):
        SliceSet.from_config(make_config(), "train")


def test_a_case_is_hashed_once_and_its_content_counts(dataset: Path, make_config) -> None:
    files = read_section(make_config(), "train").files
    before = data_hash(files)
    labels = np.load(files[0].mask)
    labels[0, 0, 0] ^= 1
    np.save(files[0].mask, labels)
    assert data_hash(files) != before


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("layout", "name"), [("volumes", "data"), ("nnunet", "Dataset009_Spleen")])
def test_a_killed_run_continues_to_what_one_run_makes(
    make_cohort, prepare_until_killed, tmp_path: Path, layout: str, name: str
) -> None:
    source, dataset = make_cohort(12), tmp_path / "killed" / name
    prepare_until_killed(source, dataset, layout)
    assert not (dataset / "manifest.json").exists()
    done = [path.stem for path in (dataset / ".prepare/cases").glob("[!.]*.json")]
    assert 2 <= len(done) < 12
    files = [path for case in done for path in dataset.rglob(f"{case}[._]*") if ".prepare" not in path.parts]
    (files[0].parent / ".writing-half.npy").write_bytes(b"half")
    times = {path: path.stat().st_mtime_ns for path in files}
    with pytest.raises(UserError, match="layout was"):
        prepare(source, dataset, layout="slices", into="train" if layout == "nnunet" else None, resume=True)
    prepare(source, dataset, layout=layout, resume=True)
    assert {path: path.stat().st_mtime_ns for path in files} == times
    prepare(source, tmp_path / "at_once" / name, layout=layout)
    assert tree(dataset) == tree(tmp_path / "at_once" / name)
