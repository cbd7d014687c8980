"""Repeating a training from its manifest: the same config and data in a fresh run folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from spleenseg.config import Config, parse_config
from spleenseg.config.rewrite import rewritten
from spleenseg.datasets.check import read_section
from spleenseg.datasets.identity import case_hashes
from spleenseg.errors import UserError
from spleenseg.files import require_free_folder, write_text
from spleenseg.models.backend import load_backend
from spleenseg.models.run_config import portable
from spleenseg.models.run_folder import MANIFEST_NAME, RunManifest
from spleenseg.models.run_manifest import version_changes
from spleenseg.progress import SILENT, Reporter
from spleenseg.training.differences import first_difference, setting_changes
from spleenseg.training.initial import initial_sha256
from spleenseg.training.precision import resolve_precision
from spleenseg.training.preflight import check
from spleenseg.training.train import TrainResult, train

_SECTIONS = {"train": "train", "valid": "eval"}


def repeat(
    manifest: Path | str,
    out: Path | str | None = None,
    *,
    overrides: Sequence[str] = (),
    reporter: Reporter = SILENT,
) -> TrainResult:
    """Train again what a run.json describes, in a fresh run folder.

    On the same machine with the same versions, weights and CSVs come out bit for bit. Whatever differs is said in
    one warning each, before training starts.

    Args:
        manifest: run.json, or the run folder that holds it.
        out: the new run folder; None: `RUN_repeated` beside the old one.
        overrides: "section.key=value" settings over the kept config, for data that lies elsewhere now.
        reporter: is warned, and shows progress.

    Raises:
        UserError: no manifest that can be repeated, data that is not the same, a folder that is not empty, or what
            `train` raises.
    """
    path = Path(manifest).absolute()
    path = path / MANIFEST_NAME if path.is_dir() else path
    then = RunManifest.read(path)
    source = parse_config(_text(then, path), path.parent / then.config_file, overrides)
    folder = Path(out).absolute() if out is not None else path.parent.with_name(f"{path.parent.name}_repeated")
    goes_on = f"spleenseg train {folder / then.config_file} --resume"
    require_free_folder(
        folder, "the new run folder", f"give another with --out; a repetition that was stopped goes on with `{goes_on}`"
    )
    text = rewritten(source, folder, _products_inside(source))
    config = parse_config(text, folder / then.config_file)
    check(config)
    _require_same_data(then, config, path)
    _require_same_start(then, config, path)
    for line in _differences(then, source):
        reporter.warn(line)
    write_text(config.path, text)
    return train(config.path, reporter=reporter)


def _text(then: RunManifest, path: Path) -> str:
    if then.config_text is None:
        raise UserError(
            f"{path} was written by an earlier version, which did not keep the config's text and the hash of each case;"
            f" train {then.config_file} beside it instead"
        )
    return then.config_text


def _products_inside(config: Config) -> dict[tuple[str, str], object]:
    """Weights and curves that lay outside of the run folder go into the new one: the old ones stay as they are."""
    outside = {"model_dir": "./models", "eval_dir": "./eval"}
    return {
        ("train", key): place
        for key, place in outside.items()
        if not getattr(config.train, key).is_relative_to(config.folder)
    }


def _require_same_data(then: RunManifest, config: Config, path: Path) -> None:
    for split, record in then.data.items():
        section = read_section(config, _SECTIONS[split])
        different = first_difference(record, case_hashes(section.files))
        if different:
            raise UserError(
                f"[{_SECTIONS[split]}] is not the data of {path}: {different}; bring it back, or name the folder where "
                "it lies now with --set"
            )
        if section.expectation != then.expectation:
            raise UserError(f"[{_SECTIONS[split]}] is shown otherwise than in {path}: {section.expectation!r}")


def _require_same_start(then: RunManifest, config: Config, path: Path) -> None:
    if then.initial is not None and then.initial.sha256 not in (None, initial_sha256(config)):
        raise UserError(
            f"the weights it starts from are not those of {path} ({then.initial.source}); name the run that holds them "
            "with --set model.init_from=RUN"
        )


def _differences(then: RunManifest, source: Config) -> Iterator[str]:
    """Yield one line for each setting, version and part of the machine that is not as it was."""
    if then.resumed_with:
        yield f"that training was stopped and went on otherwise ({'; '.join(then.resumed_with)}); this one will not"
    yield from setting_changes(then.config, portable(source))
    yield from version_changes(then)
    if then.machine is not None:
        load_backend()
        from spleenseg.models.machine import MachineRecord

        here = MachineRecord.here(resolve_precision(source.train.precision), source.train.deterministic)
        yield from here.differences(then.machine)
