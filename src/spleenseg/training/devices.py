"""Several devices of one machine that share every batch, and count and learn as one would."""

from __future__ import annotations

from typing import Any

import keras

from spleenseg.models.accelerators import device_names
from spleenseg.models.backend import INSTALL

SHARING = "jax"  # the backend whose data parallelism Keras drives


class _SharedBatches(keras.distribution.DataParallel):  # type: ignore[misc]
    """Weights on every device, and a share of the slices; a batch that cannot be shared evenly, the last of a
    validation, goes to each as a whole."""

    def get_data_layout(self, data_shape: tuple[int, ...]) -> Any:
        """Return how an array of a batch is laid out: shared along its first axis where that comes out even."""
        axes: list[str | None] = [None] * len(data_shape)
        if data_shape[0] % self.num_model_replicas == 0:
            axes[0] = self.batch_dim_name
        return keras.distribution.TensorLayout(axes, self.device_mesh)


def use_devices(wanted: str, batch_size: int) -> tuple[str, ...]:
    """Have everything built from now on computed by one device, or by as many as share a batch evenly.

    Statistics over a batch (normalisation, a Dice loss over all its pixels) are taken over the whole batch, so the
    number of devices changes the speed, not the training, up to rounding. Only JAX shares batches.

    Args:
        wanted: "all" or "one".
        batch_size: slices a step.

    Returns:
        the devices in use, by the backend's names.
    """
    there = device_names()
    chosen = there[:1] if wanted == "one" or keras.backend.backend() != SHARING else _sharing(there, batch_size)
    keras.distribution.set_distribution(_SharedBatches(devices=list(chosen)) if len(chosen) > 1 else None)
    return chosen


def remark(used: tuple[str, ...], batch_size: int) -> str | None:
    """Say in a line how several devices are used, None where there is only one."""
    there = device_names()
    if len(used) > 1:
        return f"{len(used)} of {len(there)} devices share each batch: {batch_size // len(used)} slices each"
    if len(there) > 1 and keras.backend.backend() != SHARING:
        return f"one of {len(there)} devices trains; all would with KERAS_BACKEND={SHARING} ({INSTALL[SHARING]})"
    return None


def _sharing(there: tuple[str, ...], batch_size: int) -> tuple[str, ...]:
    return there[: max(number for number in range(1, len(there) + 1) if batch_size % number == 0)]
