"""`download`: a public dataset into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from spleenseg.download.catalogue import DATASETS, Archive
from spleenseg.download.fetch import fetch
from spleenseg.download.unpack import unpack
from spleenseg.errors import UserError, did_you_mean
from spleenseg.progress import SILENT, Reporter


def download_dataset(
    name: str | Archive,
    folder: Path | str,
    *,
    urls: Sequence[str] = (),
    wait: float = 1.0,
    reporter: Reporter = SILENT,
) -> Path:
    """Download a public dataset and unpack it; what is there already is not fetched again.

    Args:
        name: one of `DATASETS`, or an archive of your own.
        folder: gets the archive, which may be removed afterwards, and the dataset's own folder.
        urls: mirrors to ask instead of the dataset's own addresses.
        wait: seconds before an address is asked again.
        reporter: shows progress and says the licence.

    Returns:
        The dataset's folder, such as ``FOLDER/Task09_Spleen``.

    Raises:
        UserError: an unknown name, no mirror that gives the right file, something else of its name in `folder`,
            or an archive that must not be unpacked.
    """
    archive, folder = _archive(name), Path(folder)
    found = folder / archive.folder
    if found.exists():
        reporter.say(f"{found} is there already")
        return found
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; give a folder")
    reporter.say(f"{archive.title}; licence {archive.licence}")
    file = fetch(urls or archive.urls, folder / archive.file, archive.md5, wait=wait, reporter=reporter)
    unpack(file, archive.folder, folder, reporter)
    reporter.say(f"{found} is complete; {file} is no longer needed")
    return found


def _archive(name: str | Archive) -> Archive:
    if isinstance(name, Archive):
        return name
    if name not in DATASETS:
        raise UserError(f"no dataset '{name}'{did_you_mean(name, DATASETS)}; known: {', '.join(DATASETS)}")
    return DATASETS[name]
