"""Loading Keras and its backend without the remarks that TensorFlow's libraries print before any setting is read."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from spleenseg.errors import UserError


def load_backend() -> None:
    """Import Keras with the backend it is set to; call before the first use of either.

    Raises:
        UserError: Keras or its backend is not installed.
    """
    if "keras" in sys.modules:
        return
    try:
        with _held_back_stderr():
            import_module("keras")
    except ImportError as error:
        raise UserError(f"training needs Keras and a backend ({error}): pip install 'spleenseg[train]'") from error


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
