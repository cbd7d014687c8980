"""From what `--model` names to a predictor: which engine runs which file."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from spleenseg.config import Config
from spleenseg.errors import UserError, did_you_mean
from spleenseg.files import sha256
from spleenseg.inference.builtin import named
from spleenseg.inference.engine import Engine
from spleenseg.inference.engine_choice import (
    ENGINES,
    EXACT,
    EXPORTED_NAME,
    FAST,
    INT8,
    INT8_NAME,
    KERAS,
    ONNX,
    OPENVINO,
    PRECISIONS,
    SUFFIX,
    fastest,
)
from spleenseg.inference.exported_engine import ModelFile
from spleenseg.inference.fitted import Fitted
from spleenseg.inference.labels import HALF
from spleenseg.inference.meanwhile import Meanwhile
from spleenseg.inference.onnx_engine import OnnxEngine
from spleenseg.inference.postprocess import NOTHING
from spleenseg.inference.predictor import Predictor, fingerprint, require_honoured
from spleenseg.inference.record import Record, trained_mirrored
from spleenseg.models.run_folder import MANIFEST_NAME
from spleenseg.models.run_manifest import RunManifest
from spleenseg.progress import SILENT, Reporter

if TYPE_CHECKING:
    from spleenseg.models.run_folder import Trained

_FOR_OTHERS = {".xml": "programs of OpenVINO's own", ".bin": "programs of OpenVINO's own", ".tflite": "LiteRT"}
_NEEDED_LATER = ("cc3d", "numpy.ma", "PIL.ImageDraw", "PIL.ImageFont")  # by every mask and its picture
_CHANGED = {FAST: "precision fast computes in bfloat16", INT8: "precision int8 computes in whole numbers of 8 bits"}


def load_predictor(
    model: Path | Config,
    *,
    engine: str | None = None,
    precision: str = EXACT,
    batch_size: int = 4,
    threshold: float | None = None,
    threads: int | None = None,
    reporter: Reporter = SILENT,
) -> Predictor:
    """Load an exported model, or the best network of a run folder or of a config's folder.

    What `evaluate` fitted on valid holds for a run folder whichever engine runs it, also where its exported model is
    older.

    Args:
        model: an `.onnx` file of `export`, a run folder, the name of a built-in model (where no such path exists),
            or a config whose folder is one.
        engine: one of `ENGINES`. None: "onnx" for an exported model, also for the `model.onnx` of a run folder
            if it was made from the run's weights; else "keras". For other precisions than "exact" the fastest.
        precision: "exact" (float32); "fast": bfloat16, by OpenVINO; "int8": the model of `export --int8`. The last
            two change some voxels.
        batch_size: pictures or slices predicted at once.
        threshold: see `labels_of`; None: that of an exported model; for a run folder that `evaluate` fitted with its
            present weights, unless its `model.onnx` was exported with another `--threshold`; else 0.5.
        threads: for exported models; None: all cores.
        reporter: is warned where the files of a run do not fit together, and of what "fast" and "int8" cost.

    Raises:
        UserError: no model there, one that records nothing or what this version cannot honour, an engine that
            cannot run it, or a threshold for a model of several labels.
    """
    if batch_size < 1:
        raise UserError(f"the batch size must be at least 1, is {batch_size}")
    _require_known(engine, precision)
    model = named(model) if isinstance(model, Path) else model
    engine = engine or fastest(precision)
    file = _exported(model, engine, precision, threshold is None, reporter)
    if file is None:
        return _of_run(model, batch_size, threshold, reporter)
    if file.card.precision == INT8:
        precision, engine = INT8, engine or fastest(INT8)
    if precision != EXACT:
        reporter.warn(f"{_CHANGED[precision]}: some voxels differ from float32; {file.card.cost(precision, engine)}")
    return _of_file(file, engine or ONNX, precision, batch_size, threshold, threads)


def load_run(run: Path | Config, threshold: float, reporter: Reporter = SILENT) -> Trained:
    """Load the best Keras network of a run, if it can be used here with this threshold.

    Raises:
        UserError: no trained network, one that records what this version cannot honour, or a wrong threshold.
    """
    from spleenseg.models.run_folder import load_trained

    trained = load_trained(run, reporter)
    root = _root(run)
    require_honoured(trained.expectation, trained.config, root)
    _require_threshold(threshold, trained.config.model.num_classes, root)
    return trained


def _require_known(engine: str | None, precision: str) -> None:
    if engine is not None and engine not in ENGINES:
        raise UserError(f"no engine '{engine}'{did_you_mean(engine, ENGINES)}; there are {', '.join(ENGINES)}")
    if precision not in PRECISIONS:
        raise UserError(f"no precision '{precision}'; there are {', '.join(PRECISIONS)}")
    if precision == FAST and engine not in (None, OPENVINO):
        raise UserError(f"precision fast is computed by the engine openvino, not by {engine}; leave --engine out")
    if precision == INT8 and engine == KERAS:
        raise UserError("precision int8 is computed by the engines openvino and onnx; leave --engine out")


def _exported(
    model: Path | Config, engine: str | None, precision: str, own_threshold: bool, reporter: Reporter
) -> ModelFile | None:
    """Return the exported model to run, None where the Keras network is to run."""
    if isinstance(model, Path) and model.suffix == SUFFIX:
        if engine == KERAS:
            raise UserError(f"{model} is an exported model; Keras runs the run folder it came from")
        return _of_precision(ModelFile.read(model), precision)
    if isinstance(model, Path) and model.suffix in _FOR_OTHERS:
        raise UserError(
            f"{model} is for {_FOR_OTHERS[model.suffix]}; give the .onnx file or the run folder (--engine openvino "
            "computes these with OpenVINO)"
        )
    path = _root(model) / (INT8_NAME if precision == INT8 else EXPORTED_NAME)
    if engine == KERAS or (engine is None and not path.is_file()):
        return None
    weights = RunManifest.read(_root(model) / MANIFEST_NAME).weights
    if not path.is_file():
        option = " --int8" if precision == INT8 else ""
        other = "--precision exact" if precision != EXACT else "--engine keras"
        raise UserError(f"no exported model {path}; run `spleenseg export {_root(model)}{option}`, or use {other}")
    file = _of_precision(ModelFile.read(path), precision)
    if weights is not None and weights.sha256 == file.card.weights_sha256:
        return _as_fitted(file, _root(model), own_threshold, reporter)
    problem = f"{path} was exported from other weights than the run has now"
    if engine is not None:
        raise UserError(f"{problem}; move it away and export again, or use --engine keras")
    reporter.warn(f"{problem}: the network of the run is used")
    return None


def _as_fitted(file: ModelFile, run: Path, own_threshold: bool, reporter: Reporter) -> ModelFile:
    """Return a run's exported model with what `evaluate` has fitted since, and warn of what the file says otherwise."""
    from spleenseg.models.run_folder import RunFolder

    fitted = Fitted.read(RunFolder.at(run).calibration, file.card.weights_sha256)
    if fitted is None:
        return file
    card = fitted.applied(file.card)
    told = fitted.differences(card, own_threshold)
    other = [words for words in fitted.differences(file.card, own_threshold) if words not in told]
    if other:
        reporter.warn(
            f"{file.path} has {' and '.join(other)}, unlike calibration.json beside it: what was fitted is taken; move "
            "the file away and export again, so that it says so itself"
        )
    if told:
        reporter.warn(
            f"{file.path} was exported with {' and '.join(told)} as asked for: this is taken; --engine keras takes "
            "what was fitted"
        )
    return replace(file, card=card)


def _of_precision(file: ModelFile, precision: str) -> ModelFile:
    """Refuse a file that cannot be run at a precision; one in int8 runs so, also where nothing was asked for."""
    if precision == INT8 and file.card.precision != INT8:
        raise UserError(f"{file.path} computes in float32; make one in int8 by `spleenseg export RUN --int8`")
    if precision == FAST and file.card.precision == INT8:
        raise UserError(f"{file.path} computes in int8; give the float32 model for --precision fast")
    return file


def _of_run(run: Path | Config, batch_size: int, threshold: float | None, reporter: Reporter) -> Predictor:
    from spleenseg.inference.keras_engine import KerasEngine
    from spleenseg.models.run_folder import RunFolder

    trained = load_run(run, HALF if threshold is None else threshold, reporter)
    assert trained.manifest.weights is not None  # it was loaded
    path = _root(run) / trained.manifest.weights.file
    weights = sha256(path)
    fitted = Fitted.read(RunFolder.at(_root(run)).calibration, weights)
    if threshold is None:
        threshold = fitted.cut if fitted else HALF
    settings = fingerprint(weights, threshold, trained.expectation.model_dump(mode="json"))
    engine = KerasEngine(trained.model, batch_size)
    record = Record(
        name=_root(run).absolute().name,
        mirrored=trained_mirrored(trained.manifest.config),
        postprocess=fitted.postprocess.options if fitted and fitted.postprocess else NOTHING,
        quality=fitted.quality if fitted and fitted.cut == threshold else {},
        file_bytes=path.stat().st_size,
    )
    return Predictor(engine, trained.config, trained.expectation, threshold, batch_size, settings, record)


def _of_file(
    file: ModelFile, engine: str, precision: str, batch_size: int, threshold: float | None, threads: int | None
) -> Predictor:
    card = file.card
    config = card.config(file.path)
    require_honoured(card.expectation, config, file.path)
    threshold = card.threshold if threshold is None else threshold
    _require_threshold(threshold, card.num_classes, file.path)
    digest = Meanwhile(file.digest)  # an engine starts in native code, which leaves Python free
    needed = Meanwhile(_load_what_is_needed_later)
    running = _running(file, engine, precision, batch_size, threads)
    needed.result()
    settings = fingerprint(digest.result(), threshold, engine, precision)
    record = Record(
        name=_name_of(file.path),
        engine=engine if precision == EXACT else f"{engine} {precision}",
        mirrored=card.mirrored,
        postprocess=card.postprocess.options if card.postprocess else NOTHING,
        quality=card.quality if card.threshold == threshold else {},
        file_bytes=len(file.content),
        activation_bytes=card.activation_bytes,
    )
    return Predictor(running, config, card.expectation, threshold, batch_size, settings, record)


def _load_what_is_needed_later() -> None:
    for name in _NEEDED_LATER:
        import_module(name)
    import_module("PIL.Image").preinit()  # its file formats


def _running(file: ModelFile, engine: str, precision: str, batch_size: int, threads: int | None) -> Engine:
    if engine == ONNX:
        return OnnxEngine(file, batch_size, threads)
    from spleenseg.inference.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(file, batch_size, threads, FAST if precision == FAST else EXACT)


def _name_of(path: Path) -> str:
    """Return what a model file is called: by its run folder where it has the usual name."""
    path = path.absolute()
    return path.parent.name if path.name in (EXPORTED_NAME, INT8_NAME) else path.stem


def _require_threshold(threshold: float, classes: int, where: Path) -> None:
    if not 0 < threshold <= 1:
        raise UserError(f"the threshold must lie above 0 and be at most 1, is {threshold}")
    if classes > 1 and threshold != HALF:
        raise UserError(f"the model in {where} takes the likeliest of several labels; it has no threshold to set")


def _root(model: Path | Config) -> Path:
    return model.folder if isinstance(model, Config) else model
