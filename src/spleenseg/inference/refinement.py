"""What `segment` does for a better mask than one answer of the network, as far as the user decides it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from spleenseg.errors import UserError, did_you_mean
from spleenseg.inference.postprocess import Components, Postprocess


@dataclass(frozen=True)
class Refinement:
    """What was asked for.

    Attributes:
        components: "all" or "largest", see `Postprocess`; None: as the model records.
        fill_holes: see `Postprocess`; None: as the model records.
        min_ml: see `Postprocess`; None: as the model records.
        tta: several views of each slice are averaged, see `views`.
        smooth_mm: standard deviation of a Gaussian over the probabilities, in mm; 0: none.

    Raises:
        UserError: a value that cannot be.
    """

    components: str | None = None
    fill_holes: bool | None = None
    min_ml: float | None = None
    tta: bool = False
    smooth_mm: float = 0.0

    def __post_init__(self) -> None:
        known = get_args(Components)
        if self.components is not None and self.components not in known:
            raise UserError(
                f"no choice of components '{self.components}'{did_you_mean(self.components, known)}; "
                f"there are {', '.join(known)}"
            )
        for name, value in (("least volume", self.min_ml or 0.0), ("smoothing", self.smooth_mm)):
            if not 0 <= value < float("inf"):
                raise UserError(f"the {name} must be 0 or more, is {value}")

    def postprocess(self, recorded: Postprocess) -> Postprocess:
        """Return what is done to label maps: what the model records, where nothing else was asked for."""
        wanted = {"components": self.components, "fill_holes": self.fill_holes, "min_ml": self.min_ml}
        return recorded.model_copy(update={key: value for key, value in wanted.items() if value is not None})

    def settings(self, recorded: Postprocess) -> str:
        """Return what of this decides a label beside the model, "" where nothing does."""
        options = self.postprocess(recorded)
        words = f" post={options.model_dump_json(exclude_defaults=True)}" if options.steps else ""
        return words + (f" smooth={self.smooth_mm:g}" if self.smooth_mm else "")


MODELS_OWN = Refinement()
"""What the model records, and one answer of the network."""
