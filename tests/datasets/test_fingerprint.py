from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spleenseg.cli.app import run
from spleenseg.datasets.fingerprint import PERCENTILES, percentiles
from spleenseg.datasets.prepare import prepare
from spleenseg.datasets.statistics import stats
from spleenseg.datasets.survey import VALUES
from spleenseg.errors import UserError


def inside_the_organ(source: Path, value: int = 1) -> np.ndarray:
    """Return the HU of every organ voxel of a cohort, read straight from its files."""
    found = []
    for path in sorted((source / "labelsTr").iterdir()):
        hu = np.asarray(nib.load(source / "imagesTr" / path.name).dataobj)
        found.append(hu[np.asarray(nib.load(path).dataobj) == value])
    return np.concatenate(found)


@given(st.lists(st.integers(-1024, 3000), min_size=1, max_size=60))
def test_percentiles_of_a_histogram_are_those_of_its_values(values: list[int]) -> None:
    counts = np.bincount(np.array(values) - VALUES[0], minlength=len(VALUES))
    found = percentiles(counts, VALUES.astype(float), PERCENTILES)
    np.testing.assert_allclose(found, np.percentile(values, PERCENTILES), atol=1e-9)


@pytest.mark.parametrize("layout", ["volumes", "source", "nnunet"])
def test_hu_are_those_of_the_voxels_in_the_organ(make_cohort, tmp_path: Path, layout: str) -> None:
    source = make_cohort(4)
    dataset = source if layout == "source" else tmp_path / "Dataset009_Spleen"
    if layout != "source":
        prepare(source, dataset, layout=layout)
    hu = inside_the_organ(source)
    (organ,) = stats(dataset).fingerprint.organs
    found = (organ.hu_p00_5, organ.hu_p05, organ.hu_p50, organ.hu_p95, organ.hu_p99_5)
    assert found == pytest.approx(np.percentile(hu, PERCENTILES), abs=0.01)
    assert (organ.hu_mean, organ.hu_sd) == pytest.approx((hu.mean(), hu.std()), abs=0.01)
    assert (organ.cases, organ.voxels) == (4, len(hu))
    assert organ.ml_median == pytest.approx(50 * 0.0032)


def test_grey_values_are_mapped_back_and_said_to_be(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(4)
    prepare(source, tmp_path / "data", window=(-100, 300))
    print_ = stats(tmp_path / "data").fingerprint
    hu = np.clip(inside_the_organ(source), -100, 300)
    (organ,) = print_.organs
    assert organ.hu_p50 == pytest.approx(np.median(hu), abs=400 / 255)
    assert organ.hu_mean == pytest.approx(hu.mean(), abs=400 / 255)
    assert print_.hu == "from grey values: cut to -100 to 300, in steps of 1.57"


def test_spacings_shapes_and_volumes_are_told(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3, {1: "spleen", 6: "liver"})
    found = stats(source).fingerprint
    grid = {figure.figure: (figure.smallest, figure.median, figure.largest) for figure in found.grid}
    assert grid["spacing_x_mm"] == pytest.approx((0.8, 0.8, 0.8))
    assert grid["spacing_z_mm"] == pytest.approx((5, 5, 5))
    assert [grid[f"size_{axis}"] for axis in "xyz"] == [(24, 24, 24), (20, 20, 20), (6, 6, 6)]
    assert {(row.case, row.label): row.volume_ml for row in found.volumes} == {
        (f"spleen_{number}", label): pytest.approx(0.16) for number in range(3) for label in ("spleen", "liver")
    }


def test_plain_pictures_know_no_millimetres(save_pairs, tmp_path: Path) -> None:
    save_pairs()
    found = stats(tmp_path / "data").fingerprint
    assert (found.organs[0].hu_p50, found.organs[0].ml_max) == (90, None)
    assert [figure.figure for figure in found.grid] == ["size_x", "size_y", "size_z"]


def test_a_label_that_never_occurs_has_no_figures(make_cohort, tmp_path: Path) -> None:
    organs = stats(make_cohort(3), labels={"spleen": 1, "gallbladder": 9}).fingerprint.organs
    assert (organs[1].cases, organs[1].voxels, organs[1].hu_p50, organs[1].ml_max) == (0, 0, None, None)


def test_nothing_is_written_beside_scans_unless_asked(make_cohort, tmp_path: Path) -> None:
    source = make_cohort(3)
    before = sorted(source.rglob("*"))
    assert stats(source).chart is None
    assert sorted(source.rglob("*")) == before
    stats(source, chart=tmp_path / "chart.png")
    assert (tmp_path / "chart.png").is_file()


def test_scans_beside_their_labels_are_counted(make_cohort) -> None:
    source = make_cohort(3, json_too=False)
    (row,) = stats(source / "imagesTr", labels_from=source / "labelsTr", labels={"spleen": 1}).rows()
    assert (row["split"], row["label"], row["cases"], row["organ_pixels"]) == ("all", "spleen", 3, 150)
    with pytest.raises(UserError, match="holds no"):
        stats(source / "imagesTr")


def test_the_command_gives_tables_or_one_json(make_cohort, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_cohort(3)
    assert run(["stats", str(source), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fingerprint"]["organs"][0]["voxels"] == 150
    assert found["splits"][0]["slices"] == 18
    assert run(["stats", str(source), "--label", "spleen=1"]) == 0
    shown = capsys.readouterr().out
    assert "spacing_x_mm" in shown
    assert "HU as stored" in shown


def test_a_real_spleen_without_contrast_measures_what_spleens_do(real_data: Path) -> None:
    amos = real_data / "amos-0001"
    found = stats(amos / "dicom", labels_from=amos / "label-dicom", labels={"spleen": 1}).fingerprint
    assert 35 < found.organs[0].hu_p50 < 65
    assert found.organs[0].ml_max == pytest.approx(69, rel=0.01)
    assert {figure.figure: figure.median for figure in found.grid}["spacing_z_mm"] == pytest.approx(5)
