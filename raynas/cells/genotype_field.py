"""A genotype as a field of a config: in JSON as Genotype.to_dict writes it, in Python a Genotype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, InstanceOf, PlainSerializer

from raynas.cells.genotype import Genotype


def _parsed(value: Any) -> Any:
    # Anything but a mapping goes on to InstanceOf, which accepts a Genotype and reports every other type.
    return Genotype.from_dict(value) if isinstance(value, Mapping) else value


GenotypeField = Annotated[
    InstanceOf[Genotype],
    BeforeValidator(_parsed),
    PlainSerializer(Genotype.to_dict, return_type=dict[str, Any]),
]
