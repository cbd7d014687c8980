"""The datasets that `download` knows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """A dataset as one tar file.

    Attributes:
        title: what it is, for people.
        file: name of the archive.
        folder: the one folder in it.
        md5: of the archive.
        urls: where it lies.
        licence: of the data.
    """

    title: str
    file: str
    folder: str
    md5: str
    urls: tuple[str, ...]
    licence: str


DATASETS = {
    "msd-spleen": Archive(
        title="Medical Segmentation Decathlon, task 9: spleen (61 portal venous CT, 41 of them labelled)",
        file="Task09_Spleen.tar",
        folder="Task09_Spleen",
        md5="410d4a301da4e5b2f6f86ec3ddba524e",
        urls=("https://msd-for-monai.s3-us-west-2.amazonaws.com/Task09_Spleen.tar",),
        licence="CC BY-SA 4.0",
    )
}
