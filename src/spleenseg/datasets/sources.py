"""Which layout a source folder has."""

from __future__ import annotations

from pathlib import Path

from spleenseg.datasets.msd import read_msd
from spleenseg.datasets.nnunet import is_nnunet, read_nnunet
from spleenseg.datasets.source import KINDS, Source, paired, refuse_twins, scans_in
from spleenseg.errors import UserError
from spleenseg.volumes import case_name, is_scan


def read_source(folder: Path, labels_from: Path | None = None) -> Source:
    """List the labelled scans of a folder.

    Args:
        folder: in the layout of the Medical Segmentation Decathlon or of nnU-Net; with `labels_from` a folder
            of scans, or one scan.
        labels_from: folder of label maps (NIfTI, DICOM SEG, DICOM label images, NRRD) named like the scans, or
            one label map for one scan.

    Raises:
        UserError: neither layout, a damaged dataset.json, or an image or label map alone.
    """
    folder = Path(folder)
    if labels_from is not None:
        return _beside(folder, Path(labels_from))
    return read_nnunet(folder) if is_nnunet(folder) else read_msd(folder)


def _beside(folder: Path, labels_from: Path) -> Source:
    for path in (folder, labels_from):
        if not path.exists():
            raise UserError(f"{path} does not exist")
    if is_scan(folder):
        case = case_name(folder)
        maps = {case: labels_from} if is_scan(labels_from) else scans_in(labels_from)
        own = {name: path for name, path in maps.items() if name == case}
        scans = paired(folder.parent, {case: folder}, own, (folder.name, labels_from.name))
        return Source(folder.parent, folder.resolve().name, None, scans)
    images, maps = scans_in(folder), scans_in(labels_from)
    if not images:
        raise UserError(f"{folder} holds no scans ({KINDS})")
    scans = paired(folder, images, maps, (str(folder), str(labels_from)))
    refuse_twins(folder, scans)
    return Source(folder, folder.resolve().name, None, scans)
