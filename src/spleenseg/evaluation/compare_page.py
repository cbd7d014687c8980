"""The page of a comparison."""

from __future__ import annotations

from spleenseg.evaluation import words
from spleenseg.evaluation.compare import ComparisonFindings, Difference, p_text
from spleenseg.render import page as html
from spleenseg.render import plots

_WORDS = (
    "Better: the whole interval of the difference is on the better side of 0. Worse: all of it is on the other side. "
    "Non-inferior: no part of it is worse by the margin or more. Else nobody can tell from these patients.",
    "The margin decides, so it should be chosen before looking. Other columns are shown without one.",
    "Intervals: studentized bootstrap of the paired differences, 10,000 draws of patients, seeded. Test: Wilcoxon's "
    "signed-rank test on one difference a patient, two-sided, zeros after Pratt, not corrected for several columns.",
    "A difference is the first minus the second. Volume errors are compared by their size.",
    "Research use only; not a medical device.",
)


def comparison_page(findings: ComparisonFindings) -> str:
    """Return the whole page."""
    title = f"{findings.first} against {findings.second}"
    body = [html.paragraph(f"Made by {findings.created_by}. Research use only.", "quiet")]
    for one in findings.deciding:
        body += [html.cards(_cards(findings, one)), html.paragraph(findings.sentence(one), "lead")]
    body += [html.heading("Patient by patient"), html.gallery(_charts(findings)), _cases(findings)]
    body += [
        html.heading("Every figure that both have"),
        html.table([_row(one) for one in findings.differences], "Differences"),
    ]
    left_out = [
        f"{words.cases(len(some))} only in {name} left out: {', '.join(some[:8])}{'...' if len(some) > 8 else ''}"
        for some, name in ((findings.only_first, findings.first), (findings.only_second, findings.second))
        if some
    ]
    body += [html.heading("Limits and definitions"), html.bullets((*left_out, *_WORDS))]
    return html.page(f"Comparison: {title}", body, sortable=True)


def _cards(findings: ComparisonFindings, one: Difference) -> list[tuple[str, str, str]]:
    name = words.NAMES[one.metric]
    return [
        ("verdict" if len(findings.deciding) == 1 else one.label, one.verdict, f"margin {findings.margin:g}"),
        (
            f"difference in {name}",
            words.number(one.metric, one.mean, 4),
            f"95 % CI {words.interval(one.metric, one.ci95, 4)}",
        ),
        (findings.first, words.number(one.metric, one.first, 4), f"mean {name}"),
        (findings.second, words.number(one.metric, one.second, 4), f"mean {name}"),
        ("patients", str(one.patients), f"{one.higher} higher, {one.lower} lower, {one.equal} equal"),
        ("Wilcoxon p", "–" if one.p_value is None else p_text(one.p_value), "two-sided"),
    ]


def _charts(findings: ComparisonFindings) -> list[str]:
    charts = []
    several = len(findings.deciding) > 1
    pairs = {
        f"{row.case} {row.label}" if several else row.case: (row.first, row.second)
        for row in findings.cases
        if row.first is not None and row.second is not None
    }
    name = words.NAMES[findings.metric]
    if pairs:
        drawing = plots.against(pairs, findings.first, findings.second, f"{name} of each case by both")
        charts.append(html.chart(drawing, f"{name} of each case; above the line the first is higher."))
    gaps = {case: first - second for case, (first, second) in pairs.items()}
    if gaps:
        drawing = plots.spread({"first − second": gaps}, f"difference in {name}", f"Differences in {name}", level=0.0)
        charts.append(html.chart(drawing, "Differences; a point is a case."))
    return charts


def _cases(findings: ComparisonFindings) -> str:
    several = len(findings.deciding) > 1
    ordered = sorted(findings.cases, key=lambda row: (row.difference is None, row.difference))
    rows: list[dict[str, object]] = []
    for row in ordered:
        cells: dict[str, object] = {"case": row.case, **({"label": row.label} if several else {})}
        rows.append({**cells, "first": row.first, "second": row.second, "difference": row.difference})
    digits = dict.fromkeys(("first", "second", "difference"), 4)
    return html.sortable_table(rows, "Values of each case", digits)


def _row(one: Difference) -> dict[str, object]:
    name = one.metric
    return {
        "figure": words.NAMES[name] + (f", {one.label}" if one.label else ""),
        "patients": one.patients,
        "first": html.Written(words.number(name, one.first)),
        "second": html.Written(words.number(name, one.second)),
        "difference": html.Written(words.number(name, one.mean, 4)),
        "95 % CI": html.Written(words.interval(name, one.ci95, 4)),
        "p": html.Written("–" if one.p_value is None else p_text(one.p_value)),
        "first is": one.verdict,
    }
