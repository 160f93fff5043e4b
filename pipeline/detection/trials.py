"""What a sweep tries: the settings in force, the shipped default, and a grid made of the table of gates."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, create_model, model_validator

from pipeline.detection.gates import Detection, swept

Changes: TypeAlias = Mapping[str, float]
"""Settings of `Detection` with the values to try; what is not named stays as it is in force."""

SWEPT = tuple(swept(Detection))
"""The settings a grid is made of; zones and rolls are the operator's choice, no measure of what was found."""

IN_FORCE, DEFAULT, GRID = 0, 1, 2
"""Where trials stand: the settings in force, the shipped default, and from there on the grid."""

_MOST = 20_000  # settings of one grid: found and false alarms of each are held for every camera


def _grid_fields(kind: type[Detection]) -> dict[str, Any]:
    """Return the fields of a grid: the values to try of each setting that the table of gates lets a sweep vary."""
    fields: dict[str, Any] = {}
    for name, values in swept(kind).items():
        field = kind.model_fields[name]
        said_as = [one for one in field.metadata if isinstance(one, BeforeValidator | PlainSerializer)]
        number: Any = field.annotation
        for one in said_as:
            number = Annotated[number, one]
        said = Field(values, min_length=1, description="values to try (as in detection)")
        fields[name] = (tuple[number, ...], said)
    return fields


_Grid: Any = create_model("_Grid", __config__=ConfigDict(frozen=True, extra="forbid"), **_grid_fields(Detection))


class TuneSettings(_Grid):
    """The grid that is swept (500 settings by default), and the rule that matches events to true spans."""

    kind: ClassVar[type[Detection]] = Detection

    overlap_s: float = Field(0.0, ge=0, le=60, description="an event and a true span must share this, 0: anything (s)")
    cover: float = Field(0.25, ge=0, le=1, description="true spans must fill this much of an event (share of its time)")
    min_labels: int = Field(10, ge=1, le=10_000, description="a camera with fewer true spans keeps the fleet's (count)")
    near: float = Field(0.15, ge=0, le=1, description="rates this near the target are equally good (share of it)")

    @classmethod
    def of(cls, kind: type[Detection]) -> type[TuneSettings]:
        """Return the settings of a sweep over another table of gates, which has those of this one and more."""
        fields = {name: field for name, field in _grid_fields(kind).items() if name not in cls.model_fields}
        made: type[TuneSettings] = create_model(cls.__name__, __base__=cls, **fields)
        made.kind = kind
        return made

    @model_validator(mode="after")
    def _values_fit(self) -> TuneSettings:
        size = 1
        for name, values in self._values().items():
            size *= len(values)
            for value in values:
                try:
                    self.kind.model_validate({name: value})
                except ValidationError as error:
                    raise ValueError(f"{name}: {error.errors()[0]['msg']}, got {value}") from error
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: every value once, got {list(values)}")
        if size > _MOST:
            raise ValueError(f"a grid has at most {_MOST:,} settings, got {size:,}; give fewer values for a knob")
        return self

    def _values(self) -> dict[str, tuple[float, ...]]:
        return {name: getattr(self, name) for name in swept(self.kind)}

    def shape(self) -> tuple[int, ...]:
        """Return how many values each setting of the grid has."""
        return tuple(map(len, self._values().values()))

    def grid(self) -> list[dict[str, float]]:
        """Return every setting of the grid, the last one changing first."""
        values = self._values()
        return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]

    def trials(self) -> list[Changes]:
        """Return what a sweep tries: nothing changed, the shipped default, and the grid."""
        default = self.kind()
        return [{}, {name: getattr(default, name) for name in swept(self.kind)}, *self.grid()]
