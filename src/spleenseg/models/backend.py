"""Loading Keras and its backend: fast where TensorFlow is timid, and without the remarks its libraries print first."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from spleenseg.errors import UserError, install_command

INSTALL = {
    "tensorflow": install_command("train"),
    "jax": install_command("jax"),
    "torch": "pip install torch",
}
"""The command that installs each backend."""
_ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_NO_CARD = {
    "CUDA_VISIBLE_DEVICES": "-1",
    "HIP_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "cpu",
    "KERAS_TORCH_DEVICE": "cpu",
}
_SEEN_CARDS = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_DEVICE = re.compile(r"cpu|gpu(?::(\d{1,3}))?")


def load_backend() -> None:
    """Import Keras with the backend it is set to; call before the first use of either.

    TensorFlow leaves oneDNN out on processors without AVX-512 unless told otherwise; a training step of FastUNet took
    1.2 s there instead of 0.8 (an AMD EPYC of two cores, 384 x 384, batch 8). Whoever sets the variable decides.

    Raises:
        UserError: Keras or its backend is not installed.
    """
    if "keras" in sys.modules:
        return
    os.environ.setdefault(_ONEDNN, "1")
    try:
        with _held_back_stderr():
            import_module("keras")
    except (ImportError, ValueError) as error:  # ValueError: a backend Keras has never heard of
        raise UserError(_what_to_install(error)) from error


def see_device(device: str | None) -> None:
    """Have the backend see one kind of device alone; call before it is loaded.

    Args:
        device: "cpu"; "gpu": the graphics cards; "gpu:N": one of them, counted from 0 among those that the
            environment lets the backend see. None: whatever is there.

    Raises:
        UserError: no such device, or the backend cannot be loaded.
    """
    if device is None:
        return
    asked = _DEVICE.fullmatch(device)
    if asked is None:
        raise UserError(f"no device '{device}'; there are cpu, gpu and gpu:N, such as gpu:0")
    if device == "cpu":
        os.environ.update(_NO_CARD)
        return
    if asked[1] is not None:
        for name in _SEEN_CARDS:
            os.environ[name] = _one_of(os.environ.get(name), int(asked[1]))
    load_backend()
    from spleenseg.models.accelerators import accelerator

    if accelerator()[0] == "processor":
        raise UserError(
            f"--device {device}: the backend sees no such graphics card; `spleenseg doctor` says what it sees"
        )


def _one_of(seen: str | None, number: int) -> str:
    """Return the card of a number among those that a variable lists; one that does not exist where it lists fewer."""
    if seen is None:
        return str(number)
    cards = [card.strip() for card in seen.split(",") if card.strip()]
    return cards[number] if number < len(cards) else "-1"


def _what_to_install(error: Exception) -> str:
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted is None:
        return f"training needs Keras and a backend ({error}): {INSTALL['tensorflow']}"
    if wanted not in INSTALL:
        return f"KERAS_BACKEND is '{wanted}'; there are {', '.join(INSTALL)}"
    return f"KERAS_BACKEND is {wanted}, which is not installed ({error}): {INSTALL[wanted]}, or unset KERAS_BACKEND"


@contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Keep what native code writes to file descriptor 2 from the terminal; show it if the block fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            aside.seek(0)
            os.write(kept, aside.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
