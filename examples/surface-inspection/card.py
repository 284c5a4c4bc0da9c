"""Writes the measured figures into MODEL_CARD.md, between its two marker lines, so that the card cannot say anything else."""

from generate import FOLDER

BEGIN = "<!-- figures: written by measure.py -->"
END = "<!-- end of figures -->"


def update(results, settings):
    path = FOLDER / "MODEL_CARD.md"
    before, rest = path.read_text().split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(before + BEGIN + "\n" + _figures(results, settings) + END + after)


def _figures(results, settings):
    models, labels = results["models"], results["labels"]
    sets = {"test": f"shipped test set, {results['images']['test']} images"}
    sets["measure"] = f"large set, {results['images']['measure']} images"
    parts = [
        "### Accuracy\n",
        _table(
            ["model", "set", "accuracy", *(f"recall {name}" for name in labels)],
            [
                [role, what, _four(model[name]["accuracy"]), *(_four(model[name]["recall"][label]) for label in labels)]
                for role, model in models.items()
                for name, what in sets.items()
            ],
        ),
        f"### Confidence, at the threshold of {results['confidenceThreshold']}\n",
        _table(
            ["model", "set", "coverage (share of sure answers)", "accuracy when sure", "mean confidence"],
            [
                [role, what, *(_four(model[name][key]) for key in ("coverage", "accuracyWhenSure", "meanConfidence"))]
                for role, model in models.items()
                for name, what in sets.items()
            ],
        ),
        "### Confusion on the large set (rows: truth, columns: answer)\n",
        *(_confusion(role, model, labels) for role, model in models.items()),
        "### Ranges of the guard\n",
        _table(
            ["statistic", "least", "most"],
            [
                [name, *(f"{ends[key] / 1e6:.6f}" for key in ("leastMillionths", "mostMillionths"))]
                for name, ends in settings["statistics"].items()
            ],
        ),
        "### Verdicts\n",
        _table(
            ["input", "images", "accepted", "fallback", "review", "wrong without guard", "wrong and let through", "both models wrong alike"],
            [
                *(_verdict_row(f"clean: {what}", results["clean"][name]) for name, what in sets.items()),
                *(_verdict_row(kind, rates) for kind, rates in results["hostile"].items()),
            ],
        ),
        "### The shipped hostile images\n",
        _table(
            ["file", "made from", "primary answers", "fallback answers", "verdict", "reasons"],
            [
                [
                    f"hostile/{name}",
                    file["madeFrom"],
                    f"{file['primaryAnswers']} ({file['primaryConfidence']:.2f})",
                    file["fallbackAnswers"],
                    file["verdict"],
                    ", ".join(file["reasons"]) or "none",
                ]
                for name, file in results["hostileFiles"].items()
            ],
        ),
    ]
    return "\n".join(parts)


def _confusion(role, model, labels):
    rows = [[name, *map(str, row)] for name, row in zip(labels, model["measure"]["confusion"])]
    return _table([role, *labels], rows)


def _verdict_row(name, rates):
    shares = ("accepted", "fallback", "review", "wrongWithoutGuard", "wrongAndAnswered", "bothWrongAlike")
    return [name, str(rates["images"]), *(_four(rates[key]) for key in shares)]


def _table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _four(share):
    return "-" if share is None else f"{share:.4f}"
