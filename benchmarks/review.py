r"""Tell whether the review finds wrong classes and bad outlines.

Writes a page and a picture::

    python benchmarks/review.py ../shared/data --sister runs/fold/seed0/fold1 --cache runs/review \
        --out docs/results/review.md

The cells of the sister are judged twice. By the rule that a model holds, `--rule`, which was fitted on other networks
and other images; and by scores fitted on other images of this fold: its groups of images are shared by five, and what
judges a fifth is fitted on the cells that all networks found in the other four, as they are and degraded. No network
learned from any of these images.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sgcldff_core.datasets import open_dataset
from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.crossval import FOLDS, SETTINGS
from sgcldff_core.evaluation.degrading import HARD, MILD
from sgcldff_core.evaluation.folds import read_folds
from sgcldff_core.evaluation.review_cells import gather_cells
from sgcldff_core.evaluation.review_figures import auroc, bootstrap_by_group, caught, cross_fitted, risk_coverage
from sgcldff_core.evaluation.trust import held_out_groups, with_known_images
from sgcldff_core.files import written_atomically
from sgcldff_core.model import DEFAULT_MODEL, load_model
from sgcldff_core.training import read_annotated
from sgcldff_core.training.risk import fit_rule
from sgcldff_core.training.split import split_samples, without_copies

if TYPE_CHECKING:
    from sgcldff_core.model.review_rule import ReviewRule

_SCORES = {"review": "risk", "class score alone": "p_wrong", "outline score alone": "p_bad", "confidence": "unsure"}
_SHARE = 0.2
OWN, MILDLY = "as they are", "mildly degraded"


def main() -> None:
    """Gather what is not in the cache, cross-fit, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with zheng/, bccd/ and all_idb2/")
    parser.add_argument("--sister", type=Path, required=True, help="network whose cells are judged")
    parser.add_argument("--also", type=Path, nargs="*", default=[], help="networks that make errors to fit on")
    parser.add_argument("--cache", type=Path, required=True, help="folder of tables of cells, read where they exist")
    parser.add_argument("--out", type=Path, required=True, help="page, with a picture of the same name beside it")
    parser.add_argument("--rule", default=DEFAULT_MODEL, help="model whose rule is judged; fitted without these images")
    parser.add_argument(
        "--rule-fold", type=int, help="fold that the rule was fitted on; with it, what chose that trial's best epoch"
    )
    options = parser.parse_args()
    cells = gathered(options)
    shipped = load_model(options.rule).review
    known = seen_by_rule(options, shipped)
    judged = cells[(cells["network"] == "sister") & ~cells["group"].isin(known)]
    own, mild = judged[judged["kind"] == "as it is"], judged[judged["kind"] == "mild"]
    learned = cells[cells["kind"] != "mild"]
    rows = {
        f"{OWN}, rule of {Path(options.rule).name}": by_rule(own, shipped),
        f"{MILDLY}, rule of {Path(options.rule).name}": by_rule(mild, shipped),
        f"{OWN}, fitted here": cross_fitted(own, learned, before=shipped),
        f"{MILDLY}, fitted here": cross_fitted(mild, learned, before=shipped),
        **{
            f"{network}, as they are": cross_fitted(part, learned, before=shipped)
            for network, part in cells[(cells["network"] != "sister") & (cells["kind"] == "as it is")].groupby(
                "network"
            )
        },
    }
    for table in rows.values():
        table["unsure"] = 1 - table["confidence"]
        table["either"] = table[["wrong", "bad"]].max(axis=1)
    rule = fit_rule(learned.assign(own=learned.index.isin(own.index)), _SHARE, before=shipped)
    with written_atomically(options.out.with_suffix(".png")) as draft:
        draw(rows, draft)
    with written_atomically(options.out) as draft:
        draft.write_text(page(rows, learned, rule.to_dict(), options), encoding="utf-8")


def seen_by_rule(options: argparse.Namespace, rule: ReviewRule | None) -> set[str]:
    """Return the groups on which the rule was fitted: what its record names, or what its sister's fold tells."""
    if rule is None or options.rule_fold is None:
        return set() if rule is None else set(rule.fitted_on.get("group_names", ()))
    samples, _ = read_annotated([options.data / name for name in ("zheng", "bccd")])
    trials = options.sister.parent.parent  # the rule's sister was trained by the same settings
    share = float(json.loads((trials / SETTINGS).read_text(encoding="utf-8"))["validation"])
    learned, held = read_folds(trials / FOLDS).split([s for s in samples if s.split != "test"], options.rule_fold)
    _, chose = split_samples([replace(s, split=None) for s in learned], share, 0)
    return {s.group for s in [*held, *chose]}


def by_rule(judged: pd.DataFrame, rule: ReviewRule | None) -> pd.DataFrame:
    """Judge every cell by a rule to which none of them contributed, as `cross_fitted` does."""
    if rule is None:
        raise ConfigError("the model holds no rule for a review; fit one with 'sgcldff models trust'")
    wrong, bad = (score.probability(judged) for score in (rule.wrong_class, rule.bad_mask))
    return judged.assign(p_wrong=wrong, p_bad=bad, risk=rule.risk(judged))


def gathered(options: argparse.Namespace) -> pd.DataFrame:
    """Return cells of all networks, with ``network`` and ``kind``."""
    samples = without_copies([s for name in ("zheng", "bccd") for s in open_dataset(options.data / name)])
    folders = [options.sister, *options.also]
    held = set.intersection(*(held_out_groups(folder, load_model(folder)) for folder in folders))
    judged = [s for s in samples if s.group in held and s.split != "test"]
    tables = []
    for number, folder in enumerate(folders):
        name = "sister" if not number else "-".join(folder.parts[-3:])
        model = None
        degraded = [("hard", HARD)] if number else [("mild", MILD), ("hard", HARD)]
        for kind, worsen in [("as it is", None), *degraded]:
            file = options.cache / f"{name}-{kind.replace(' ', '-')}.csv"
            if not file.is_file():
                if model is None:
                    model = with_known_images(load_model(folder), [s for s in samples if s.group not in held])
                found = gather_cells(judged, model, worsen=worsen, diameter_known=bool(number) or kind != "as it is")
                with written_atomically(file) as draft:
                    found.to_csv(draft, index=False)
            tables.append(pd.read_csv(file).assign(network=name, kind=kind))
    return pd.concat(tables, ignore_index=True)


def figure(table: pd.DataFrame, target: str, column: str, statistic: str) -> str:
    """Return a figure with its interval, as text."""
    known = table[table[target].notna()]
    measure = auroc if statistic == "AUROC" else caught
    errors, score, groups = (known[c].to_numpy() for c in (target, column, "group"))
    if errors.sum() < 2:
        return ""
    found = bootstrap_by_group(errors.astype(float), score.astype(float), groups, measure)
    return f"{found.value:.3f} ({found.low:.2f}-{found.high:.2f})"


def gain(table: pd.DataFrame, column: str) -> str:
    """Return by how much a score finds wrong classes better than confidence, on the same draws."""
    known = table[table["wrong"].notna()]
    errors, pair = known["wrong"].to_numpy(float), known[[column, "unsure"]].to_numpy(float)
    found = bootstrap_by_group(
        errors, pair, known["group"].to_numpy(), lambda e, both: auroc(e, both[:, 0]) - auroc(e, both[:, 1])
    )
    return f"{found.value:+.3f} ({found.low:+.2f} to {found.high:+.2f})"


def auroc_with_gain(table: pd.DataFrame, column: str) -> str:
    """Return how well a figure finds wrong classes, and by how much better than confidence."""
    own = auroc(table["wrong"].to_numpy(float), table[column].to_numpy(float))
    return f"{own:.3f}" if column == "unsure" else f"{own:.3f} [{gain(table, column)}]"


def page(rows: dict[str, pd.DataFrame], learned: pd.DataFrame, rule: dict, options: argparse.Namespace) -> str:
    """Return the page of results in Markdown."""
    also = f" --also {' '.join(map(str, options.also))}" if options.also else ""
    kept = ", ".join(rule["fitted_on"].get("kept", [])).replace("_", " ") or "nothing"
    fold = "" if options.rule_fold is None else f" --rule-fold {options.rule_fold}"
    rule_of = "" if options.rule == DEFAULT_MODEL else f" --rule {options.rule}"
    command = f"python benchmarks/review.py ../shared/data --sister {options.sister}{also}{rule_of}{fold}"
    lines = [
        "# Review",
        "",
        f"Written by `{command} --cache {options.cache} --out {options.out}`; do not edit. "
        "The method is in [Review of doubtful cells](../method/review.md).",
        "",
        "The cells are those that the sister found in images that it neither learned from nor was chosen by. "
        f"*Rule of {Path(options.rule).name}*: judged by the rule that this model holds, which was fitted to other "
        "networks' errors; images that it was fitted on are left out of all rows. *Fitted here*: by scores fitted to "
        "the cells of this page, as they are and strongly degraded, in five parts of which the one judged stayed out; "
        "a score for which there were too few errors is the rule's. 95 % intervals are from a bootstrap over groups of "
        "images. A class is wrong if the cell is one annotated cell by half and of another class; an outline is bad if "
        "its IoU with the annotated cell is below 0.8.",
        "",
        "| AUROC | wrong class: n | review | class score | confidence "
        "| bad outline: n | review | outline score | confidence |",
        "| --- " * 9 + "|",
    ]
    for name, table in rows.items():
        parts = [name]
        for target, own in (("wrong", "p_wrong"), ("bad", "p_bad")):
            known = table[table[target].notna()]
            parts.append(f"{int(known[target].sum())} of {len(known)}")
            parts += [figure(table, target, column, "AUROC") for column in ("risk", own, "unsure")]
        lines.append("| " + " | ".join(parts) + " |")
    lines += ["", "| wrong class, AUROC less that of confidence | review | class score |", "| --- | --- | --- |"]
    for name, table in rows.items():
        lines.append(f"| {name} | {gain(table, 'risk')} | {gain(table, 'p_wrong')} |")
    lines += [
        "",
        "| share of errors of either kind among the worst 20 % | errors | review | confidence |",
        "| --- | --- | --- | --- |",
    ]
    for name, table in rows.items():
        known = table[table["either"].notna()]
        values = [figure(table, "either", column, "caught") for column in ("risk", "unsure")]
        lines.append(f"| {name} | {int(known['either'].sum())} of {len(known)} | " + " | ".join(values) + " |")
    lines += [
        "",
        f"![Share of errors among the cells kept, against the share kept]({options.out.with_suffix('.png').name})",
        "",
        "## What the scores are made of",
        "",
        f"Fitted here to {len(learned)} cells, {int((learned['wrong'] == 1).sum())} with a wrong class and "
        f"{int((learned['bad'] == 1).sum())} with a bad outline; kept from the rule of {Path(options.rule).name}: "
        f"{kept}. Weights are for a doubt that grows by its spread; one that made cells safer was held at 0. These are "
        "of all images together, as a model would hold them.",
        "",
        "| doubt | wrong class | bad outline |",
        "| --- | --- | --- |",
    ]
    wrong, bad = (rule[name]["weight"] for name in ("wrong_class", "bad_mask"))
    lines += [f"| {name} | {wrong[name]:.2f} | {bad[name]:.2f} |" for name in wrong]
    return "\n".join([*lines, ""])


def draw(rows: dict[str, pd.DataFrame], file: Path) -> None:
    """Draw risk against coverage, one panel a set of cells."""
    figure, panels = plt.subplots(1, len(rows), figsize=(4.2 * len(rows), 3.8), constrained_layout=True)
    for panel, (name, table) in zip(np.atleast_1d(panels), rows.items(), strict=True):
        known = table[table["either"].notna()]
        errors = known["either"].to_numpy(float)
        kept = np.arange(1, len(errors) + 1) / len(errors)
        for title, column, style in (("review", "risk", "-"), ("confidence", "unsure", "--")):
            panel.plot(100 * kept, 100 * risk_coverage(errors, known[column].to_numpy()), style, label=title)
        panel.plot(100 * kept, 100 * risk_coverage(errors, errors), ":", color="grey", label="perfect ranking")
        panel.axvline(100 * (1 - _SHARE), color="grey", linewidth=0.6)
        panel.set(
            title=f"{name}\n{int(errors.sum())} errors in {len(errors)} cells", xlabel="cells kept, %", xlim=(0, 100)
        )
        panel.set_ylim(bottom=0)
        panel.set_ylabel("of them wrong, %")
        panel.legend(frameon=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
