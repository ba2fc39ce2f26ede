"""What a data set is, for people: facts of its builder, and of its prepared copy."""

from __future__ import annotations

import collections
import dataclasses
import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from masam_jax.core.specs import settable_options, write_value
from masam_jax.data.builders.registry import BUILDERS, default_source
from masam_jax.data.dataset_spec import DatasetSpec, is_own, is_published
from masam_jax.data.modality import Modality, Normalization
from masam_jax.data.own.opening import open_own
from masam_jax.data.own.summary import in_words
from masam_jax.data.prepare import open_builder
from masam_jax.data.shipped import SHIPPED

if TYPE_CHECKING:
    from masam_jax.data.builders.base import PublishedBuilder

_SPLITS = {"train": 0, "validation": 1, "test": 2}


class OptionFact(NamedTuple):
    """An option, as specifications write it.

    Attributes:
      name: of the option.
      value: what is asked for.
      default: what the published setting has.
      meaning: from its documentation.
    """

    name: str
    value: str
    default: str
    meaning: str


@dataclasses.dataclass(frozen=True)
class PreparedCopy:
    """What is known of prepared data without reading them.

    Attributes:
      splits: split of the source -> number of samples, train first.
      damaged: samples that were left out -> why.
      replaced: samples with a stand-in for what could not be read -> why.
      warnings: what was odd about the source, a sentence each.
      constant: stored part -> samples in which all of its values are one.
      provenance: rule and checksums of the lists they were made from.
      options: that they were prepared with, as specifications write them.
      digest: sha256 of names, splits, labels and groups.
    """

    splits: Mapping[str, int]
    damaged: Mapping[str, str]
    replaced: Mapping[str, str]
    warnings: tuple[str, ...]
    constant: Mapping[str, Sequence[str]]
    provenance: Mapping[str, str]
    options: Mapping[str, str]
    digest: str


@dataclasses.dataclass(frozen=True)
class Description:
    """A data set with its options.

    Attributes:
      name: on command lines.
      title: for people.
      summary: a line for lists.
      text: what it is, and every step of its preprocessing.
      modalities: what their samples look like.
      class_names: names of the C classes, or of the K labels.
      multi_label: whether a sample has K labels of zero or one, rather than one class.
      is_regression: whether a sample has K numbers for targets.
      metric: the published metric.
      options: its options.
      homepage: where the data are; empty where they ship with the package, as in the following.
      citation: the paper.
      instructions: files it is prepared from.
      source: where they are looked for; None where none are needed.
      place: where prepared data are, or would be; None where they ship with the package.
      prepared: the prepared copy, if there is one.
      trouble: why there is one that these options cannot read; empty if there is none such.
      whence: where data come from that need no preparation, in a sentence.
    """

    name: str
    title: str
    summary: str
    text: str
    modalities: Mapping[str, Modality]
    class_names: tuple[str, ...]
    multi_label: bool
    metric: str
    options: tuple[OptionFact, ...]
    homepage: str = ""
    citation: str = ""
    instructions: str = ""
    source: Path | None = None
    place: Path | None = None
    prepared: PreparedCopy | None = None
    trouble: str = ""
    whence: str = "It ships with the package; nothing has to be prepared."
    is_regression: bool = False


def describe_dataset(dataset: DatasetSpec, data_dir: Path) -> Description:
    """Describes a data set.

    Args:
      dataset: which one, and its options.
      data_dir: where prepared data live.

    Raises:
      ValueError: a package is missing, or what is prepared is damaged.
    """
    if is_published(dataset.name):
        return _published(dataset, data_dir)
    if is_own(dataset.name):
        return _own(dataset)
    shipped = SHIPPED[dataset.name]
    data = shipped.load(dataset.options)
    return Description(
        name=dataset.name,
        title=shipped.title,
        summary=shipped.summary,
        text=_plain(shipped.about),
        modalities=data.modality_specs,
        class_names=data.class_names,
        multi_label=data.multi_label,
        metric=data.metric,
        options=option_facts(dataset.options),
    )


def option_facts(options: Any) -> tuple[OptionFact, ...]:
    """The options that specifications can write, in their order."""
    meanings = documented_attributes(type(options))
    settable = settable_options(type(options))
    return tuple(
        OptionFact(
            field.name,
            write_value(getattr(options, field.name)),
            write_value(field.default),
            meanings.get(field.name, ""),
        )
        for field in dataclasses.fields(options)
        if field.name in settable
    )


def documented_attributes(kind: type) -> dict[str, str]:
    """Attribute -> what the section "Attributes" of a class's documentation says of it."""
    _, _, section = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if not line.startswith("  "):
            break
        start = re.fullmatch(r"  (\w+): (.*)", line)
        if start is not None:
            name = start[1]
            found[name] = _without_markup(start[2])
        elif name:
            found[name] += f" {_without_markup(line.strip())}"
    return found


def describe_normalization(normalization: Normalization) -> str:
    """The rule in words."""
    if normalization.rule == "fixed":
        mean, std = ("/".join(f"{x:g}" for x in v) for v in (normalization.mean, normalization.std))
        return f"mean {mean}, std {std}"
    return {
        "feature": "mean and std of each feature, from the training samples",
        "scalar": "one mean and std of all values, from the training samples",
        "none": "none",
    }[normalization.rule]


def _published(dataset: DatasetSpec, data_dir: Path) -> Description:
    builder = open_builder(dataset, data_dir)
    prepared, trouble = None, ""
    if builder.is_prepared:
        try:
            prepared = _prepared_copy(builder)
        except ValueError as error:
            trouble = str(error)
    return Description(
        name=dataset.name,
        title=builder.TITLE,
        summary=BUILDERS[dataset.name].summary,
        text=_plain(type(builder)),
        modalities=dict(sorted(builder.modalities.items())),
        class_names=builder.CLASS_NAMES,
        multi_label=builder.MULTI_LABEL,
        metric=builder.METRIC,
        options=option_facts(builder.options),
        homepage=builder.HOMEPAGE,
        citation=inspect.cleandoc(builder.CITATION),
        instructions=inspect.cleandoc(builder.MANUAL_DOWNLOAD_INSTRUCTIONS or ""),
        source=default_source(dataset.name, data_dir) if builder.NEEDS_SOURCE else None,
        place=Path(builder.data_dir),
        prepared=prepared,
        trouble=trouble,
    )


def _own(dataset: DatasetSpec) -> Description:
    found = open_own(dataset.name, dataset.options)
    data = found.data
    return Description(
        name=dataset.name,
        title=data.name,
        summary="data of your own",
        text=f"{len(data):,} samples. {in_words(found)}",
        modalities=data.modality_specs,
        class_names=data.class_names,
        multi_label=data.multi_label,
        metric=data.metric,
        options=option_facts(dataset.options),
        whence="It is read from there at every start; nothing has to be prepared.",
        is_regression=data.is_regression,
    )


def _prepared_copy(builder: PublishedBuilder) -> PreparedCopy:
    index = builder.index
    counts = collections.Counter(index.splits.tolist())
    order = sorted(counts, key=lambda split: (_SPLITS.get(split, len(_SPLITS)), split))
    return PreparedCopy(
        splits={split: counts[split] for split in order},
        damaged=builder.damaged,
        replaced=builder.replaced,
        warnings=builder.warnings,
        constant=builder.constant,
        provenance=builder.provenance,
        options={name: write_value(value) for name, value in builder.prepared_options.items()},
        digest=index.digest(),
    )


def _plain(documented: Any) -> str:
    """Documentation up to its sections of arguments and errors."""
    text = inspect.cleandoc(documented.__doc__ or "")
    return _without_markup(re.split(r"\n(?:Args|Attributes|Raises|References):\n", text)[0].strip())


def _without_markup(text: str) -> str:
    """Documentation without its backticks and the dollars of its formulas."""
    return text.replace("`", "").replace("$", "")
