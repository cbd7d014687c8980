"""One drawn augmentation: parameters fixed, applied to an image and its mask together."""

from __future__ import annotations

from dataclasses import dataclass

from spleenseg.augment.geometry import IDENTITY, Geometry
from spleenseg.augment.intensity import Intensity
from spleenseg.augment.organ import UNCHANGED, Organ
from spleenseg.augment.scene import AS_IT_IS, Scene
from spleenseg.augment.warp import Border, Image, Mask, warp


@dataclass(frozen=True)
class Transform:
    """What happens to one pair. Applied twice, or to another pair, it does exactly the same.

    Attributes:
        name: prefix of the pair's file name when it is saved, e.g. ``rotated_5_``; empty for the original.
        geometry: the one map shared by image and mask.
        intensity: grey-value operations on the image, in order, after the geometry.
        border: what lies outside the source, see `warp`.
        organ: what happens to the labelled pixels alone, in the same warp.
        scene: what is painted about the organ, before all else.
    """

    name: str = ""
    geometry: Geometry = IDENTITY
    intensity: tuple[Intensity, ...] = ()
    border: Border = "constant"
    organ: Organ = UNCHANGED
    scene: Scene = AS_IT_IS

    def apply(self, image: Image, mask: Mask) -> tuple[Image, Mask]:
        """Return the augmented pair.

        Args:
            image: [H, W, C] uint8 or float32, values 0..255.
            mask: [H, W] uint8 labels.

        Returns:
            Image and mask of the same shapes and types; the mask holds no label it did not hold before,
            besides 0 at a constant border.
        """
        image, mask = self.scene.painted(image, mask)
        shaded = self.organ.shaded(image, mask)
        image, mask = warp(shaded, mask, self.organ.moved(self.geometry, mask), self.border)
        for change in self.intensity:
            image = change(image)
        return image, mask
