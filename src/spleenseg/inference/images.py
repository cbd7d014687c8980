"""`infer`: the pictures of a folder in, thresholded masks and overlays of the pictures' own size out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spleenseg.config import Config, load_config
from spleenseg.config.places import DEFAULT
from spleenseg.datasets.check import Section, read_section
from spleenseg.datasets.decode import read_image
from spleenseg.datasets.fit import grey_of, without_repeats
from spleenseg.datasets.folders import SliceFile
from spleenseg.datasets.stacks import stacks
from spleenseg.errors import UserError, did_you_mean
from spleenseg.inference.drawing import Drawing
from spleenseg.inference.engine import Floats
from spleenseg.inference.engine_choice import EXACT
from spleenseg.inference.ledger import Ledger, source_of
from spleenseg.inference.loading import load_predictor
from spleenseg.inference.picture_outputs import (
    InferSummary,
    claimed,
    output_folders,
    output_name,
    refuse_shared_names,
)
from spleenseg.inference.predictor import Pixels, Predictor, fingerprint
from spleenseg.inference.tiling import tiled_probabilities
from spleenseg.progress import SILENT, Reporter
from spleenseg.render import STYLES

_NOTED, _NOTED_SHARE = 8, 100  # at least so many pictures, a hundredth of all: writing the record takes its length


def infer(
    config: Config | Path | str,
    *,
    overrides: Sequence[str] = (),
    model: Path | str | None = None,
    engine: str | None = None,
    precision: str = EXACT,
    overlay_style: str | None = None,
    tiled: bool = False,
    resume: bool = False,
    reporter: Reporter = SILENT,
) -> InferSummary:
    """Write a lossless mask `output_dir/NAME.png` and an overlay `merged_dir/NAME.png` for every picture.

    What an earlier `infer` wrote there is replaced; anything else is never touched.

    Args:
        config: a config file, or one already loaded: [infer] names the folders, [segmentation] the look;
            the model is that of its folder.
        overrides: "section.key=value" settings over the file (not with a loaded config).
        model: another run folder, or an exported model; None: that of the config's folder.
        engine, precision: what runs it and how, see `load_predictor`.
        overlay_style: "off" (no overlays), "contour" or "fill"; None: as the config says.
        tiled: predict overlapping tiles instead of whole pictures, as [tiledinfer] says.
        resume: keep what an earlier run made of the same pictures with the same model and settings.
        reporter: shows progress, and warns of what stays from an earlier run.

    Raises:
        UserError: no trained model, no pictures, a picture that cannot be read, or folders that hold
            pictures to be read or files of somebody else's, or that another run writes to.
    """
    if not isinstance(config, Config):
        config = load_config(config, overrides)
    for line in config.warnings:
        reporter.warn(line)
    style = _known_style(overlay_style or config.segmentation.overlay_style)
    with ExitStack() as locks:
        job = _Job.plan(config, style, tiled, locks)
        threshold = _threshold(config, tiled)
        predictor = load_predictor(
            config if model is None else Path(model),
            engine=engine,
            precision=precision,
            batch_size=config.eval.batch_size,
            threshold=threshold,
            reporter=reporter,
        )
        if predictor.expectation.windows:
            raise UserError(
                f"the model in {model or config.folder} sees several HU windows, a picture shows one: segment the scans"
            )
        _require_pixel_sizes(job, predictor.expectation.pixel_mm)
        _warn_of_other_pictures(job.section, predictor, reporter)
        kept = job.run(predictor, resume, reporter)
        leftovers = tuple(sorted(set(job.ledgers[0].items) - {file.image.stem for file in job.files}))
        if leftovers:
            reporter.warn(
                f"{job.ledgers[0].folder} still holds {len(leftovers)} masks of an earlier run ({leftovers[0]}...)"
            )
        folders = [ledger.folder for ledger in job.ledgers]
        return InferSummary(len(job.files), kept, folders[0], folders[1] if len(folders) > 1 else None, leftovers)


@dataclass(frozen=True)
class _Job:
    config: Config
    section: Section
    ledgers: tuple[Ledger, ...]  # of the masks, and of the overlays where they are wanted
    drawing: Drawing
    tiles: tuple[int, int] | None

    @classmethod
    def plan(cls, config: Config, style: str, tiled: bool, locks: ExitStack) -> _Job:
        """Look at everything that can be known to fail before a model is loaded; hold the folders by `locks`."""
        section = read_section(config, "tiledinfer" if tiled and config.tiledinfer.images_dir else "infer")
        refuse_shared_names(section.files)
        masks, overlays = output_folders(config, tiled)
        outputs = [masks, *([overlays] if overlays is not None and style != "off" else [])]
        images = section.files[0].image.parent
        ledgers = tuple(claimed(folder, images, masks, locks) for folder in outputs)
        return cls(config, section, ledgers, Drawing.of(config, style), _tiles(config) if tiled else None)

    @property
    def files(self) -> tuple[SliceFile, ...]:
        """The pictures to segment."""
        return self.section.files

    def run(self, predictor: Predictor, resume: bool, reporter: Reporter) -> int:
        """Predict and write; return how many pictures were kept as they are."""
        settings = fingerprint(predictor.settings, self.drawing.facts(), self._tiling_facts())
        todo = [file for file in self.files if not (resume and self._finished(file, settings))]
        for ledger in self.ledgers:
            ledger.require_ours(map(output_name, todo))
        step = max(_NOTED, len(self.files) // _NOTED_SHARE)
        with ExitStack() as undone:
            for ledger in self.ledgers:
                undone.enter_context(ledger.undone_if_it_fails())
            with reporter.task("segmenting images", len(todo)) as task:
                for done, (file, image, found) in enumerate(self._predicted(todo, predictor)):
                    if done % step == 0:
                        self._note(todo[done : done + step], settings)
                    self._write(file, image, predictor.labels(found))
                    task.advance(note=file.name)
            self._save()
        return len(self.files) - len(todo)

    def _note(self, files: Sequence[SliceFile], settings: str) -> None:
        """Note what is written next: whatever kills the run, nothing further counts as ours."""
        for file in files:
            source = source_of(file.image)
            for ledger in self.ledgers:
                ledger.begin(file.image.stem, source, settings, [output_name(file)])
        self._save()

    def _finished(self, file: SliceFile, settings: str) -> bool:
        name, source = file.image.stem, source_of(file.image)
        return all(ledger.finished(name, source, settings, [output_name(file)]) for ledger in self.ledgers)

    def _predicted(
        self, files: Sequence[SliceFile], predictor: Predictor
    ) -> Iterator[tuple[SliceFile, Pixels, Floats]]:
        """Yield each file with its picture and the probabilities, both of the picture's size."""
        look, manifest = predictor.expectation, self.section.manifest
        places = stacks(self.files, look.context, look.context_mm, manifest.slice_mm if manifest else None)
        near = dict(zip(self.files, places, strict=True))
        sizes = [manifest.pixel_size(file.case) if manifest else None for file in files]
        waiting: deque[Pixels] = deque()

        def pictures() -> Iterator[Pixels]:
            for file in files:
                waiting.append(_read(file))
                neighbours = [self.files[place] for place in near[file]]
                yield waiting[-1] if len(neighbours) == 1 else _stacked(neighbours)

        predictions = self._tiled(pictures(), predictor) if self.tiles else predictor.probabilities(pictures(), sizes)
        for file, found in zip(files, predictions, strict=True):
            yield file, waiting.popleft(), found

    def _tiled(self, pictures: Iterator[Pixels], predictor: Predictor) -> Iterator[Floats]:
        assert self.tiles is not None
        section = self.config.tiledinfer
        for picture in pictures:
            found = tiled_probabilities(picture, predictor.probabilities, self.tiles, section.overlapping)
            if section.bitwise_blending:
                found = agreed(found, next(predictor.probabilities([picture])))
            yield found

    def _write(self, file: SliceFile, image: Pixels, labels: Pixels) -> None:
        draw = (self.drawing.write_mask, self.drawing.write_overlay)
        for ledger, write in zip(self.ledgers, draw, strict=False):
            write(ledger.folder / output_name(file), image, labels)
            ledger.finish(file.image.stem)

    def _save(self) -> None:
        for ledger in self.ledgers:
            ledger.save()

    def _tiling_facts(self) -> object:
        section = self.config.tiledinfer
        return [self.tiles, section.overlapping, section.bitwise_blending] if self.tiles else None


def agreed(tiled: Floats, whole: Floats) -> Floats:
    """Keep of every label what both predictions [H, W, K] give it: the lower probability.

    With K > 1 the background (channel 0) takes what is left.
    """
    both = np.minimum(tiled, whole)
    if both.shape[-1] > 1:
        both[..., 0] = 1 - both[..., 1:].sum(axis=-1)
    return both


def _known_style(style: str) -> str:
    if style not in STYLES:
        raise UserError(f"no overlay style '{style}'{did_you_mean(style, STYLES)}; use {', '.join(STYLES)}")
    return style


def _threshold(config: Config, tiled: bool) -> float | None:
    """Return the threshold that the config gives; None where it gives none, so that the model's own holds."""
    if tiled and config.tiledinfer.binarize:
        return config.tiledinfer.threshold / 255
    return None if config.origin("infer", "threshold") == DEFAULT else config.infer.threshold


def _tiles(config: Config) -> tuple[int, int]:
    section, side = config.tiledinfer, config.tiledinfer.split_size
    tile = (side, side) if side else (config.model.image_height, config.model.image_width)
    if section.overlapping >= min(tile):
        problem = f"{section.overlapping} pixels do not fit tiles of {tile[1]}x{tile[0]}; give less"
        raise config.error("tiledinfer", "overlapping", problem)
    return tile


def _read(file: SliceFile) -> Pixels:
    """Read a picture as grey [H, W] where its channels are the same, else RGB [H, W, 3]."""
    return without_repeats(read_image(file.image))


def _stacked(neighbours: Sequence[SliceFile]) -> Pixels:
    greys = [grey_of(_read(file)) for file in neighbours]
    for file, grey in zip(neighbours, greys, strict=True):
        if grey.shape != greys[0].shape:
            raise UserError(f"image {file.image} has another size than its neighbour {neighbours[0].name}")
    return np.stack(greys, axis=-1)


def _require_pixel_sizes(job: _Job, pixel_mm: float | None) -> None:
    """Refuse pictures whose pixels have no known size in mm where the model wants one."""
    if pixel_mm is not None and job.tiles:
        raise UserError(f"the model sees pixels of {pixel_mm:g} mm, whole slices at once: leave --tiled out")
    for file in job.files:
        job.section.step(file, pixel_mm)


def _warn_of_other_pictures(section: Section, predictor: Predictor, reporter: Reporter) -> None:
    if section.manifest is None:
        return
    for key in ("window_hu", "display"):
        wanted, given = getattr(predictor.expectation, key), getattr(section.manifest.expectation, key)
        if wanted != given:
            reporter.warn(f"the model was trained with {key} {wanted}, these images have {given}: expect poor masks")
