"""SNOMED CT codes of the organs that CT models commonly segment (as DICOM CID 7192 ff. name them)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Code = tuple[str, str]

ORGAN_CATEGORY: Code = ("123037004", "Anatomical Structure")
ANY_ORGAN: Code = ("91772007", "Organ")
_SIDES: Mapping[str, Code] = MappingProxyType({"left": ("7771000", "Left"), "right": ("24028007", "Right")})
_ORGANS: Mapping[str, Code] = MappingProxyType(
    {
        "spleen": ("78961009", "Spleen"),
        "liver": ("10200004", "Liver"),
        "kidney": ("64033007", "Kidney"),
        "pancreas": ("15776009", "Pancreas"),
        "stomach": ("69695003", "Stomach"),
        "gallbladder": ("28231008", "Gallbladder"),
        "aorta": ("15825003", "Aorta"),
        "adrenal": ("23451007", "Adrenal gland"),
        "esophagus": ("32849002", "Esophagus"),
        "duodenum": ("38848004", "Duodenum"),
        "bladder": ("89837001", "Bladder"),
        "prostate": ("41216001", "Prostate"),
        "heart": ("80891009", "Heart"),
        "colon": ("71854001", "Colon"),
        "lung": ("39607008", "Lung"),
        "postcava": ("64131007", "Inferior vena cava"),
        "vena cava": ("64131007", "Inferior vena cava"),
    }
)


def organ(name: str) -> Code:
    """Return the code of the organ a label's name tells of; "organ" where it tells none."""
    spoken = _spoken(name)
    return next((code for word, code in _ORGANS.items() if word in spoken), ANY_ORGAN)


def side(name: str) -> Code | None:
    """Return the code of the side a label's name tells of, if it does."""
    words = _spoken(name).split()
    return next((code for word, code in _SIDES.items() if word in words), None)


def _spoken(name: str) -> str:
    return (
        name.lower().replace("_", " ").replace("-", " ").replace("oesophagus", "esophagus").replace("gall b", "gallb")
    )
