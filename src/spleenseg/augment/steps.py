"""One operation of a composed policy: how likely it is, and how its parameters are drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

T = TypeVar("T")
Range = tuple[float, float]


@dataclass(frozen=True)
class Step(Generic[T]):
    """An operation with a chance of its own.

    Attributes:
        name: what it is called beside a picture.
        probability: that it is applied to a sample.
        draw: draws its parameters.
    """

    name: str
    probability: float
    draw: Callable[[np.random.Generator], T]


def chosen(steps: Iterable[Step[T]], rng: np.random.Generator) -> Iterator[T]:
    """Yield what the steps draw that this sample gets, in their order."""
    for step in steps:
        if rng.random() < step.probability:
            yield step.draw(rng)


def each(steps: Iterable[Step[T]], rng: np.random.Generator) -> Iterator[tuple[str, T]]:
    """Yield the name of every step that has a chance, and what it draws."""
    for step in steps:
        if step.probability > 0:
            yield step.name, step.draw(rng)


def draw_seed(rng: np.random.Generator) -> int:
    """Draw the seed of one field or noise."""
    return int(rng.integers(2**63))


def between(rng: np.random.Generator, limits: Range) -> float:
    """Draw a number, each of the range as likely as the other."""
    return float(rng.uniform(*limits))


def factor_between(rng: np.random.Generator, limits: Range) -> float:
    """Draw a factor whose logarithm is uniform: half and double are equally likely."""
    low, high = limits
    return low * math.exp(rng.uniform(0.0, math.log(high / low)))


def one_of(rng: np.random.Generator, choices: Iterable[T]) -> T:
    """Draw one of several, each as likely as the other."""
    known = tuple(choices)
    return known[int(rng.integers(len(known)))]
