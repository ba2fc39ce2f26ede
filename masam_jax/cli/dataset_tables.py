"""What ``masam datasets`` prints of descriptions and verifications."""

from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from masam_jax.cli.printing import counted, print_plain
from masam_jax.data.builders.registry import BUILDERS
from masam_jax.data.constant_inputs import describe_constants
from masam_jax.data.description import Description, describe_normalization
from masam_jax.data.verification import Verification
from masam_jax.training.metric_names import title as metric_title

_DASH = "—"


def dataset_table(rows: Mapping[str, Description | None]) -> Table:
    """A row for each data set; of one that cannot be described, a line from the registry.

    Args:
      rows: name -> its description, if there is one.
    """
    table = Table()
    for heading in ("Name", "Title", "Classes", "Modalities", "Metric", "Prepared"):
        table.add_column(heading, justify="right" if heading == "Classes" else "left")
    for name, row in rows.items():
        if row is None:
            _add(table, name, BUILDERS[name].summary, *[_DASH] * 4)
            continue
        if row.place is None:
            state = "ships with the package"
        elif row.trouble:
            state = "see below"
        elif row.prepared is None:
            state = "no"
        else:
            state = f"{sum(row.prepared.splits.values()):,} samples"
        classes = _count_classes(row) if row.multi_label else str(len(row.class_names))
        _add(
            table,
            name,
            row.title,
            classes,
            ", ".join(row.modalities),
            metric_title(row.metric),
            state,
        )
    return table


def print_preparation(console: Console, found: Description, named: int) -> None:
    """Where prepared data are, how many, and what was left out.

    Args:
      console: where to.
      found: of prepared data.
      named: how many of those left out are named.
    """
    prepared = found.prepared
    if found.trouble:
        print_plain(console, found.trouble)
        return
    if prepared is None:
        print_plain(console, f"not prepared: there is nothing in {found.place}")
        return
    print_plain(console, f"prepared in {found.place}")
    counts = ", ".join(f"{split} {count:,}" for split, count in prepared.splits.items())
    print_plain(console, f"samples: {counts}")
    kinds = {
        "damaged": ("left out, damaged or missing", prepared.damaged),
        "replaced": ("kept with a stand-in, damaged or missing", prepared.replaced),
    }
    for kind, (words, samples) in kinds.items():
        if not samples:
            continue
        print_plain(console, f"{words}: {len(samples):,}")
        for key, reason in list(samples.items())[:named]:
            print_plain(console, f"  {key}: {reason}")
        if len(samples) > named:
            rest = len(samples) - named
            file = found.place / "metadata.json" if found.place else ""
            print_plain(console, f'  … and {rest:,} more, under "{kind}" in {file}')
    for warning in prepared.warnings:
        print_plain(console, f"warning: {warning}")

    for line in describe_constants(prepared.constant, named):
        print_plain(console, line)


def print_description(console: Console, found: Description) -> None:
    """All that is known of a data set."""
    print_plain(console, f"{found.title} ({found.name})\n\n{found.text}\n")
    console.print(_modality_table(found))
    print_plain(console, f"{_count_classes(found)}: {', '.join(found.class_names)}")
    print_plain(console, f"metric: {metric_title(found.metric)}")
    if found.options:
        console.print(_option_table(found))
    if found.homepage:
        print_plain(console, f"homepage: {found.homepage}\n\n{found.citation}\n")
    if found.place is None:
        print_plain(console, found.whence)
        return
    print_plain(console, f"What it is prepared from:\n\n{found.instructions}\n")
    if found.source is not None:
        print_plain(console, f"looked for in {found.source}, unless --source says otherwise")
    print_preparation(console, found, named=0)
    if found.prepared is not None:
        options = ", ".join(f"{name}={value}" for name, value in found.prepared.options.items())
        print_plain(console, f"prepared with: {options or 'no options'}")
        for name, value in found.prepared.provenance.items():
            print_plain(console, f"  {name}: {value}")
        print_plain(console, f"index: sha256 {found.prepared.digest}")


def class_table(description: Description, found: Verification) -> Table:
    """Samples of each class in each part; the share that has each label; the mean of a target."""
    table = Table()
    regression = description.is_regression
    table.add_column("Mean of" if regression else "Label" if description.multi_label else "Class")
    for part in found.counts:
        table.add_column(part, justify="right")
    for place, name in enumerate(description.class_names):
        cells = []
        for part, counts in found.counts.items():
            size = len(found.parts[part])
            if regression:
                cells.append(_number(counts[place] / size))
                continue
            count = int(counts[place])
            share = f" ({100 * count / size:.1f} %)" if description.multi_label else ""
            cells.append(f"{count:,}{share}")
        _add(table, name, *cells)
    table.add_section()
    table.add_row("samples", *[f"{len(rows):,}" for rows in found.parts.values()])
    return table


def statistics_table(found: Verification) -> Table:
    """What the values of each modality look like."""
    table = Table()
    headings = ("Modality", "Kind", "Shape", "Dtype", "Missing", "Stored NaN", "Values")
    for heading in (*headings, "Mean ± std", "Real steps"):
        table.add_column(heading)
    for name, each in found.statistics.items():
        steps = _DASH
        if each.steps is not None:
            steps = f"{each.steps[0]} to {each.steps[2]}, mean {each.steps[1]:.1f}"
        nan = found.nan_shares.get(name)
        _add(
            table,
            name,
            each.spec.kind,
            " × ".join(map(str, each.spec.shape)),
            np.dtype(each.spec.dtype).name,
            f"{100 * each.missing_share:.1f} %",
            _DASH if nan is None else f"{100 * nan:.1f} %",
            f"{_number(each.least)} to {_number(each.most)}",
            f"{_number(each.mean)} ± {_number(each.std)}",
            steps,
        )
    return table


def _count_classes(found: Description) -> str:
    noun, plural = ("label", "labels") if found.multi_label else ("class", "classes")
    if found.is_regression:
        noun, plural = "target", "targets"
    return counted(len(found.class_names), noun, plural)


def _modality_table(found: Description) -> Table:
    table = Table()
    for heading in ("Modality", "Kind", "Shape", "Dtype", "Normalisation"):
        table.add_column(heading)
    for name, spec in found.modalities.items():
        _add(
            table,
            name,
            spec.kind,
            " × ".join(map(str, spec.shape)),
            np.dtype(spec.dtype).name,
            describe_normalization(spec.normalization),
        )
    return table


def _option_table(found: Description) -> Table:
    table = Table()
    for heading in ("Option", "Value", "Default", "Meaning"):
        table.add_column(heading)
    for option in found.options:
        _add(table, *option)
    return table


def _add(table: Table, *cells: str) -> None:
    # Text, not markup: a class may be called "[other]".
    table.add_row(*map(Text, cells))


def _number(value: float) -> str:
    return _DASH if np.isnan(value) else f"{value:.4g}".replace("-", "−")
