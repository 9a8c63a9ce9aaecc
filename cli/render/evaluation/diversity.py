"""How different the members of ensembles are, as tables for a person."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.render.formats import design_lines, or_dash, percent, table
from cli.workflows.answers.runs.diversity import GroupDiversity, ImageSplit, RunDiversity, VarianceBasis

# Most members whose covariances fit into a line of 80 characters.
MOST_SHOWN = 9
SPLITS = {
    ImageSplit.TEST: "test images, classified now by the networks of the runs",
    ImageSplit.VALIDATION: "validation images, as stored after the last epoch (rounded to 1/255)",
}
LEGEND = (
    "All figures are of the probability of the true class. Covariance: of two members, 1: with one mother or "
    "chain, 2: without. =: by the variance identity, (1/m²)(sum of variances and covariances)."
)
OVER = {
    VarianceBasis.SEEDS: "Over seeds: variance between trainings, averaged over the images.",
    VarianceBasis.IMAGES: (
        "Over images: of one training. Hard images count too, so it is more than over seeds; train other "
        "seeds to compare with published figures."
    ),
}


def diversity(answer: RunDiversity) -> RenderableType:
    """Return variances and covariances of every group, the matrix of a single one, and Chebyshev's bound."""
    images = ", ".join(dict.fromkeys(f"{group.images:,}" for group in answer.groups))
    parts: list[RenderableType] = [Text(f"{images} {SPLITS[answer.split]}", style="bold"), _groups(answer)]
    if len(answer.groups) == 1 and 1 < answer.groups[0].members <= MOST_SHOWN:
        parts += ["", _matrix(answer.groups[0])]
    parts += ["", _bounds(answer), ""]
    notes = [LEGEND, *(OVER[basis] for basis in dict.fromkeys(g.over for g in answer.groups))]
    if answer.repeated:
        runs = ", ".join(map(str, answer.repeated))
        notes.append(f"Left out, because an earlier run has the same seed: {runs}.")
    return Group(*parts, *(Text(note, style="dim") for note in notes))


def _variance(value: float) -> str:
    return f"{value:.4f}"


def _groups(answer: RunDiversity) -> Table:
    columns = [
        ("runs\ndesign, method", "l"),
        ("over\n", "l"),
        ("variance,\nmember", "r"),
        ("covariance\n", "r"),
        ("corre-\nlation", "r"),
        ("variance,\naverage", "r"),
        ("dis-\nagree", "r"),
    ]
    return table("", columns, [_group(group) for group in answer.groups])


def _group(group: GroupDiversity) -> list[str]:
    together, apart = group.covariance_of_one_beginning, group.covariance_of_different_beginnings
    parts = [or_dash(group.member_covariance, _variance)]
    if together is not None and apart is not None:
        parts += [f"1: {_variance(together)}", f"2: {_variance(apart)}"]
    return [
        f"{', '.join(map(str, group.runs))}\n{design_lines(group.design)}\n{group.method}",
        f"{len(group.runs)} seeds" if group.over is VarianceBasis.SEEDS else "images",
        _variance(group.member_variance),
        "\n".join(parts),
        or_dash(group.member_correlation, "{:.2f}".format),
        f"{_variance(group.variance_of_average)}\n= {_variance(group.variance_by_identity)}",
        percent(group.disagreement),
    ]


def _matrix(group: GroupDiversity) -> Table:
    """Return the covariances of the members; a variance stands on the diagonal."""
    columns = [("member", "r"), *((str(i + 1), "r") for i in range(group.members))]
    rows = [[str(i + 1), *map(_variance, row)] for i, row in enumerate(group.covariance)]
    return table("Variances and covariances of the members", columns, rows)


def _bounds(answer: RunDiversity) -> Table:
    """Return how often the average lies far from its mean: Chebyshev's bound, and the share that does."""
    distances = [bound.distance for bound in answer.groups[0].chebyshev]
    columns = [("runs", "l"), *((f"{distance:g} or more", "r") for distance in distances)]
    rows = [
        [", ".join(map(str, group.runs)), *(f"≤ {b.bound:.1%} ({b.share:.1%})" for b in group.chebyshev)]
        for group in answer.groups
    ]
    return table("Average off its mean by …: Chebyshev's bound (measured)", columns, rows)
