"""Operations that give the same bits each time: what an exact repetition and an exact resume rest on.

Sums over many numbers come out differently when threads take parts of them in another order. Each backend has a
switch that fixes the order; it holds for the whole process, from before the first operation on.
"""

from __future__ import annotations

import os
from importlib import import_module

import keras

_JAX_ON_GPU = "--xla_gpu_deterministic_ops=true"


def use_deterministic_operations() -> None:
    """Let the backend compute everything in a fixed order from now on; may be called again."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif backend == "torch":
        import_module("torch").use_deterministic_algorithms(True)
    elif backend == "jax" and _JAX_ON_GPU not in os.environ.get("XLA_FLAGS", ""):  # on CPU it always is
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_JAX_ON_GPU}".strip()
