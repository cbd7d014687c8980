"""What `infer` writes, and where: folders that hold nothing but its own files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from spleenseg.config import Config
from spleenseg.datasets.folders import SliceFile
from spleenseg.errors import UserError
from spleenseg.inference.ledger import Ledger
from spleenseg.inference.lock import only_run_in


@dataclass(frozen=True)
class InferSummary:
    """What `infer` did.

    Attributes:
        images: pictures in the folder.
        kept: of these, finished by an earlier run and not predicted again (with `resume`).
        output_dir: where the masks are.
        merged_dir: where the overlays are; None if none were asked for.
        leftovers: masks of an earlier run whose picture is no longer in the folder.
    """

    images: int
    kept: int
    output_dir: Path
    merged_dir: Path | None
    leftovers: tuple[str, ...]

    def summary(self) -> str:
        """Say in one line what was done and where it lies."""
        kept = f" ({self.kept} by an earlier run)" if self.kept else ""
        overlays = f", overlays in {self.merged_dir}" if self.merged_dir else ""
        return f"{self.images} images segmented{kept}: masks in {self.output_dir}{overlays}"


def output_folders(config: Config, tiled: bool) -> tuple[Path, Path | None]:
    """Return the folders of the masks and the overlays; [tiledinfer] falls back on [infer].

    Raises:
        UserError: the config names no folder for the masks.
    """
    plain, own = config.infer, config.tiledinfer if tiled else config.infer
    masks = own.output_dir or plain.output_dir
    if masks is None:
        section = "tiledinfer" if tiled else "infer"
        raise config.error(section, "output_dir", "is not given; name the folder the masks are written to")
    return masks, own.merged_dir or plain.merged_dir


def claimed(folder: Path, images: Path, masks: Path, locks: ExitStack) -> Ledger:
    """Open the record of an output folder, and keep other runs out of it until `locks` are freed.

    Raises:
        UserError: it holds the pictures, the masks too, or files of somebody else's, or another run writes to it.
    """
    if folder.resolve() == images.resolve():
        raise UserError(f"output folder {folder} is the folder of the images; give another one")
    if folder is not masks and folder.resolve() == masks.resolve():
        raise UserError(f"masks and overlays would share the folder {folder}; give merged_dir another one")
    locks.enter_context(only_run_in(folder))
    ledger = Ledger(folder)
    strangers = ledger.strangers()
    if strangers and not ledger.items:
        raise UserError(f"{folder} holds files spleenseg did not make ({strangers[0]}); give another folder")
    return ledger


def refuse_shared_names(files: Sequence[SliceFile]) -> None:
    """Refuse two pictures whose outputs would be one file; on many disks case does not count.

    Raises:
        UserError: there are two.
    """
    seen: dict[str, SliceFile] = {}
    for file in files:
        first = seen.setdefault(output_name(file).casefold(), file)
        if first is not file:
            raise UserError(f"{first.image} and {file.name} would both become {output_name(file)}; rename one")


def output_name(file: SliceFile) -> str:
    """Return the name of what is made of a picture: a mask, and an overlay."""
    return file.image.stem + ".png"
