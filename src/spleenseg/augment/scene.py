"""What surrounds the labelled organ: something that looks like it and is not, or its bed after it was taken out.

A training set of few patients holds few stomachs full of food, loops of bowel against the organ and patients without
it, so a network takes the contents of the stomach for spleen. Both are painted into slices here, before the warp: blobs
of the organ's brightness whose pixels stay background, as the foreground of Cut-Paste or the synthetic tumours of Hu
et al. 2023 (Label-Free Liver Tumor Segmentation, CVPR) are painted, with the labels the other way round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from spleenseg.augment.fields import Plane
from spleenseg.augment.intensity import WHITE, like
from spleenseg.augment.warp import Image, Mask

Flags: TypeAlias = NDArray[np.bool_]
Box: TypeAlias = tuple[slice, slice]

_BODY = 20  # grey values: muscle and organs are brighter, in windows that show them
_COARSE = 96  # pixels a side of the grid on which the body is found
_BONE = 248  # grey values: what is as bright is left alone
_DEPTH = 0.03  # of the shorter side: no blob comes closer to the skin
_MARROW = 6  # pixels about bone that are left alone with it
_WIDEST_GAP = 3  # pixels of fat between the organ and a blob, at most
_WAVES = 4  # bumps about a blob's outline, at most
_BED = 3  # pixels about the organ that are taken out with it
_AROUND = 16  # pixels about the bed, whose darker third is taken for fat
_EDGE = 0.9  # pixels over which a painted edge fades
_TEXTURE_SIGMA = 2.0  # pixels: what is finer is taken for noise


@dataclass(frozen=True)
class Lookalike:
    """A blob of about the organ's brightness beside it, or of the body's anywhere where there is no organ.

    Some blobs have a wall, some bubbles or lumps, some a level of gas; organ and bone stay in front of them.

    Attributes:
        size: radius, as a share of the image's shorter side.
        shift: grey values between the organ and the blob.
        seed: of place, outline and texture.
    """

    size: float
    shift: float
    seed: int

    def painted(self, image: Image, organ: Flags) -> Image:
        """Return the image [H, W, C] with the blob, the organ [H, W] in front of it."""
        rng = np.random.default_rng(self.seed)
        body = _body(image)
        radius = max(2.0, self.size * min(organ.shape))
        place = _beside(organ, radius, rng) if organ.any() else _anywhere(body, rng)
        if place is None:
            return image
        box, inside = _outline(place, radius, organ.shape, rng)
        if not inside.any():
            return image
        bone = _grown(image[box].max(axis=2) >= _BONE, _MARROW)
        near = _grown(organ[box], int(rng.integers(1, 1 + _WIDEST_GAP)))
        share = _softened(inside & body[box] & ~bone & ~near)
        share[organ[box]] = 0
        tone, noise = _tone(image, organ if organ.any() else body)
        texture = _texture(inside, tone + self.shift, noise, rng)
        return _painted(image, box, share, texture)


@dataclass(frozen=True)
class Removal:
    """The organ taken out: its bed shows the fat of its surroundings.

    Attributes:
        seed: of the noise in the bed.
    """

    seed: int

    def painted(self, image: Image, organ: Flags) -> Image:
        """Return the image [H, W, C] without the organ."""
        bed = organ | (_grown(organ, _BED) & (image.max(axis=2) < _BONE))
        box = _box_of(organ, _BED + _AROUND)
        beside = image[box][~bed[box]].max(axis=1)
        dark = np.sort(beside)[: max(1, len(beside) // 3)] if beside.size else np.zeros(1)
        texture = np.random.default_rng(self.seed).choice(dark, bed[box].shape).astype(np.float32)
        return _painted(image, box, _softened(bed[box]), texture)


@dataclass(frozen=True)
class Scene:
    """Parameters of what is painted about the organ of a slice; hashable and replayable.

    Attributes:
        removal: takes the organ out first, where there is one.
        lookalikes: painted after one another.
    """

    removal: Removal | None = None
    lookalikes: tuple[Lookalike, ...] = ()

    def then(self, later: Scene) -> Scene:
        """Return both as one."""
        return Scene(self.removal or later.removal, self.lookalikes + later.lookalikes)

    def painted(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Return the changed image [H, W, C] and its labels [H, W]: all background where the organ was taken out."""
        if self.removal is not None and mask.any():
            image, mask = self.removal.painted(image, mask > 0), np.zeros_like(mask)
        for lookalike in self.lookalikes:
            image = lookalike.painted(image, mask > 0)
        return image, mask


AS_IT_IS = Scene()


def _outline(
    place: tuple[float, float], radius: float, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[Box, Flags]:
    """Return the box of a wavy ellipse about (x, y), and its pixels."""
    long = math.sqrt(rng.uniform(1.0, 2.2))
    reach = math.ceil(radius * long * 1.5) + 4
    x, y = place
    box = _clipped((round(y) - reach, round(y) + reach), (round(x) - reach, round(x) + reach), shape)
    rows, columns = np.mgrid[box].astype(np.float32)
    turn = rng.uniform(0, math.pi)
    dx, dy = columns - np.float32(x), rows - np.float32(y)
    along = (math.cos(turn) * dx + math.sin(turn) * dy) / np.float32(radius * long)
    across = (math.cos(turn) * dy - math.sin(turn) * dx) / np.float32(radius / long)
    angle = np.arctan2(across, along)
    edge = np.ones_like(angle)
    for bumps in range(2, 2 + _WAVES):
        edge += rng.normal(0, 0.12 / math.sqrt(bumps)) * np.cos(bumps * angle + rng.uniform(0, 2 * math.pi))
    return box, np.hypot(along, across) < edge


def _texture(inside: Flags, tone: float, noise: float, rng: np.random.Generator) -> Plane:
    """Return what a blob shows, in grey values: each kind of contents by its own chance, and noise as the organ's."""
    texture = np.full(inside.shape, tone, np.float32)
    for chance, fill in ((0.6, _clouded), (0.35, _lumped), (0.2, _gassed), (0.4, _walled)):
        if rng.random() < chance:
            fill(texture, inside, rng, tone)
    grain = rng.normal(0, 1, inside.shape).astype(np.float32)
    fine = cv2.GaussianBlur(grain, (0, 0), rng.uniform(0.5, 0.9))
    texture = cv2.GaussianBlur(texture, (0, 0), _EDGE)
    return np.asarray(texture + _deviating(fine, noise * rng.uniform(0.6, 1.4)))


def _clouded(texture: Plane, inside: Flags, rng: np.random.Generator, tone: float) -> None:
    """Add slow changes of brightness, in place."""
    texture += _clouds(inside.shape, rng.uniform(3, 12), rng.uniform(4, 25), rng)


def _lumped(texture: Plane, inside: Flags, rng: np.random.Generator, tone: float) -> None:
    """Add lumps of food or stool, bright or dark, in place."""
    lumps = _clouds(inside.shape, rng.uniform(1.0, 3.5), 1.0, rng)
    texture[lumps > rng.uniform(0.6, 2.0)] += rng.choice((-1.0, 1.0)) * rng.uniform(20, 120)


def _gassed(texture: Plane, inside: Flags, rng: np.random.Generator, tone: float) -> None:
    """Put gas in front, above a level, in place: the patient lies on the back."""
    rows = np.flatnonzero(inside.any(axis=1))
    level = rows[0] + rng.uniform(0.1, 0.6) * (rows[-1] - rows[0])
    texture[: int(level)] = 0


def _walled(texture: Plane, inside: Flags, rng: np.random.Generator, tone: float) -> None:
    """Draw a wall, in place."""
    wall = inside & ~_shrunk(inside, int(rng.integers(1, 5)))
    texture[wall] = tone + rng.uniform(-20, 50)


def _body(image: Image) -> Flags:
    """Return the inside of the body, without a margin for skin and fat: found on a coarse grid, without the table."""
    height, width = image.shape[:2]
    coarse = cv2.resize(image.max(axis=2), (_COARSE, _COARSE), interpolation=cv2.INTER_AREA)
    solid = cv2.morphologyEx(np.uint8(coarse > _BODY), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    joined = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, _disc(_COARSE // 12), borderValue=0)
    outlines, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    filled = np.zeros_like(joined)
    if outlines:
        cv2.drawContours(filled, [max(outlines, key=cv2.contourArea)], 0, 1, cv2.FILLED)
    inner = _shrunk(filled > 0, max(1, round(_DEPTH * _COARSE))).astype(np.uint8)
    return np.asarray(cv2.resize(inner, (width, height), interpolation=cv2.INTER_NEAREST) > 0)


def _beside(organ: Flags, radius: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return a centre (x, y) about a radius from the organ's edge, mostly away from its middle."""
    y, x = np.nonzero(organ & ~_shrunk(organ, 1))
    chosen = rng.integers(len(x))
    away = math.atan2(y[chosen] - y.mean(), x[chosen] - x.mean()) + rng.normal(0, 0.5)
    distance = radius * rng.uniform(0.5, 1.3)
    return float(x[chosen] + distance * math.cos(away)), float(y[chosen] + distance * math.sin(away))


def _anywhere(body: Flags, rng: np.random.Generator) -> tuple[float, float] | None:
    places = np.flatnonzero(body)
    if not places.size:
        return None
    row, column = divmod(int(places[rng.integers(places.size)]), body.shape[1])
    return float(column), float(row)


def _tone(image: Image, tissue: Flags) -> tuple[float, float]:
    """Return brightness and noise of what is neither black nor white in some tissue."""
    if tissue.any():
        box = _box_of(tissue, 0)
        grey, part = image[box][..., 0].astype(np.float32), tissue[box]
        part = part & (grey > _BODY) & (grey < _BONE)
        if part.any():
            fine = grey - cv2.GaussianBlur(grey, (0, 0), _TEXTURE_SIGMA)
            return float(np.median(grey[part])), float(fine[part].std())
    return WHITE / 2, 0.0


def _clouds(shape: tuple[int, int], sigma: float, strength: float, rng: np.random.Generator) -> Plane:
    """Return smooth noise of a standard deviation `strength`."""
    field = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), sigma)
    return _deviating(field, strength)


def _deviating(field: Plane, deviation: float) -> Plane:
    """Return a field brought to a standard deviation."""
    return np.asarray(field * np.float32(deviation / max(float(field.std()), 1e-6)))


def _painted(image: Image, box: Box, share: Plane, texture: Plane) -> Image:
    """Return a copy of the image with `texture` in the box, as opaque as `share` says."""
    out = image.copy()
    before = out[box].astype(np.float32)
    out[box] = like(before + share[..., None] * (np.clip(texture, 0, WHITE)[..., None] - before), out[box])
    return out


def _softened(flags: Flags) -> Plane:
    return np.asarray(cv2.GaussianBlur(flags.astype(np.float32), (0, 0), _EDGE))


def _disc(radius: int) -> Mask:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))


def _grown(flags: Flags, radius: int) -> Flags:
    return np.asarray(cv2.dilate(flags.astype(np.uint8), _disc(radius)) > 0)


def _shrunk(flags: Flags, radius: int) -> Flags:
    """Erode; what lies outside of the picture counts as outside."""
    return np.asarray(
        cv2.erode(flags.astype(np.uint8), _disc(radius), borderValue=0, borderType=cv2.BORDER_CONSTANT) > 0
    )


def _box_of(flags: Flags, margin: int) -> Box:
    rows, columns = (np.flatnonzero(flags.any(axis=axis)) for axis in (1, 0))
    return _clipped(
        (rows[0] - margin, rows[-1] + 1 + margin), (columns[0] - margin, columns[-1] + 1 + margin), flags.shape
    )


def _clipped(rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, ...]) -> Box:
    (top, bottom), (left, right) = rows, columns
    return slice(max(0, top), max(0, min(shape[0], bottom))), slice(max(0, left), max(0, min(shape[1], right)))
