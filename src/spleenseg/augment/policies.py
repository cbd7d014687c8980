"""How the transform of a sample is drawn, by the name in `[augmentor] policy`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spleenseg.augment.compose import compose_policy, strong_policy
from spleenseg.augment.fields import Shape
from spleenseg.augment.reference import reference_policy
from spleenseg.augment.transform import Transform
from spleenseg.errors import did_you_mean

if TYPE_CHECKING:
    from spleenseg.config import Config


class Policy(Protocol):
    """Draws the parameters of one sample."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Transform:
        """Return the transform of one sample of `shape` (H, W), using no randomness but `rng`'s."""

    def examples(self, rng: np.random.Generator) -> Iterator[Transform]:
        """Yield one transform for each operation of the policy, alone and named, to be looked at."""


class Unchanged:
    """The policy that leaves every pair as it is."""

    def draw(self, rng: np.random.Generator, shape: Shape) -> Transform:
        """Return the identity."""
        return Transform()

    def examples(self, rng: np.random.Generator) -> Iterator[Transform]:
        """Yield nothing: there is no operation."""
        return iter(())


POLICIES: dict[str, Callable[[Config], Policy]] = {
    "reference": reference_policy,
    "compose": compose_policy,
    "strong": strong_policy,
}


def build_policy(config: Config) -> Policy:
    """Return the policy the config asks for; pairs stay as they are without generator or augmentation.

    Raises:
        UserError: no policy of that name, or an impossible parameter.
    """
    if not (config.model.generator and config.generator.augmentation):
        return Unchanged()
    name = config.augmentor.policy
    if name not in POLICIES:
        known = ", ".join(POLICIES)
        raise config.error("augmentor", "policy", f"no policy '{name}'{did_you_mean(name, POLICIES)}; known: {known}")
    return POLICIES[name](config)


def augmenting_policy(config: Config) -> Policy:
    """Return the policy of a config that augments.

    Raises:
        UserError: augmentation is off, or as `build_policy`.
    """
    for section, key in (("model", "generator"), ("generator", "augmentation")):
        if not getattr(getattr(config, section), key):
            raise config.error(section, key, "is False, so nothing is augmented; set it to True")
    return build_policy(config)
