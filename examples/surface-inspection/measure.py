#!/usr/bin/python3
"""Calibrates the guard, makes the hostile images and measures everything: guard.json, hostile/, results.json, and the
figures of MODEL_CARD.md. Needs the weights that `train.py` leaves in .cache/."""

import json
import platform

import numpy as np
import torch
from PIL import Image

import card
import guard_rules
from generate import FOLDER, LABELS, make_split, test_set_names
from hostile import NOTES, make_hostile
from networks import ARCHITECTURES
from train import TRAIN_IMAGES, VALIDATION_IMAGES, as_tensors, in_batches, load

MEASURE_IMAGES = 5_000
ATTACKED_IMAGES = 200


def main():
    torch.set_num_threads(1)
    models = {role: load(role) for role in ARCHITECTURES}
    clean, _ = make_split("validation", VALIDATION_IMAGES)
    settings = guard_rules.settings(clean, LABELS)
    _write_json("guard.json", settings)
    ranges = settings["statistics"]

    test = make_split("test", len(test_set_names()))
    large = make_split("measure", MEASURE_IMAGES)
    results = {
        "labels": list(LABELS),
        "confidenceThreshold": guard_rules.CONFIDENCE_THRESHOLD,
        "images": {
            "train": TRAIN_IMAGES,
            "validation": VALIDATION_IMAGES,
            "measure": MEASURE_IMAGES,
            "test": len(test[0]),
        },
        "models": {role: _describe(role, model, {"measure": large, "test": test}) for role, model in models.items()},
        "clean": {
            "measure": _rates(*large, models, ranges),
            "test": _rates(*test, models, ranges),
        },
        "hostile": _attack(*large, models, ranges),
        "hostileFiles": _write_hostile_files(*test, models, ranges),
        "madeWith": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "machine": platform.machine(),
        },
    }
    _write_json("results.json", results)
    card.update(results, settings)


def _probabilities(model, images):
    return in_batches(model, as_tensors(images, np.zeros(len(images), dtype=np.int64))[0]).numpy()


def _describe(role, model, sets):
    return {
        "parameters": sum(p.numel() for p in model.network.parameters()),
        "bytes": (FOLDER / "models" / f"{role}.onnx").stat().st_size,
        "temperature": round(model.temperature, 6),
        **{name: _accuracy(_probabilities(model, images), labels) for name, (images, labels) in sets.items()},
    }


def _accuracy(probabilities, labels):
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    confusion = np.zeros((len(LABELS), len(LABELS)), dtype=int)
    np.add.at(confusion, (labels, answers), 1)
    right, sure = answers == labels, confidence >= guard_rules.CONFIDENCE_THRESHOLD
    return {
        "accuracy": _share(right),
        "recall": {name: _share(right[labels == i]) for i, name in enumerate(LABELS)},
        "confusion": confusion.tolist(),
        "coverage": _share(sure),
        "accuracyWhenSure": _share(right[sure]),
        "meanConfidence": round(float(confidence.mean()), 6),
    }


def _rates(images, labels, models, ranges):
    """How often each verdict is given, for which reasons, and how often an answer that is let through is wrong."""
    primary, fallback = (_probabilities(models[role], images) for role in ("primary", "fallback"))
    judged = guard_rules.verdicts(images, primary, fallback, ranges)
    given = np.array([verdict for verdict, _, _ in judged])
    wrong = np.array([answer for _, _, answer in judged]) != labels
    reasons = sorted(reason for _, why, _ in judged for reason in why)
    return {
        "images": len(images),
        "accepted": _share(given == "accepted"),
        "fallback": _share(given == "fallback"),
        "review": _share(given == "review"),
        "reasons": {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
        "wrongWithoutGuard": _share(primary.argmax(axis=1) != labels),
        "wrongAndAnswered": _share(wrong & (given != "review")),
        "bothWrongAlike": _share((primary.argmax(axis=1) != labels) & (fallback.argmax(axis=1) == primary.argmax(axis=1))),
    }


def _attack(images, labels, models, ranges):
    """The same 200 defects, attacked in each way: the dangerous direction is a defect that goes unseen."""
    chosen = np.flatnonzero(labels != LABELS.index("none"))[:ATTACKED_IMAGES]
    rates = {"untouched": _rates(images[chosen], labels[chosen], models, ranges)}
    for kind in NOTES:
        attacked = make_hostile(kind, images[chosen], models["primary"])
        rates[kind] = _rates(attacked, labels[chosen], models, ranges)
    return rates


def _write_hostile_files(images, labels, models, ranges):
    """One image a kind, each from the first of its own class of defect that the primary model is sure of when untouched."""
    probabilities = _probabilities(models["primary"], images)
    sure = (probabilities.argmax(axis=1) == labels) & (probabilities.max(axis=1) >= 0.95)
    names = list(test_set_names())
    folder = FOLDER / "hostile"
    folder.mkdir(exist_ok=True)
    files = {}
    for offset, (kind, note) in enumerate(NOTES.items()):
        label = 1 + offset % (len(LABELS) - 1)
        index = int(np.flatnonzero(sure & (labels == label))[0])
        image = make_hostile(kind, images[index : index + 1], models["primary"])
        primary, fallback = (_probabilities(models[role], image) for role in ("primary", "fallback"))
        [(verdict, reasons, answer)] = guard_rules.verdicts(image, primary, fallback, ranges)
        Image.fromarray(image[0], mode="L").save(folder / f"{kind}.png", optimize=True)
        files[f"{kind}.png"] = {
            "note": note,
            "madeFrom": names[index],
            "label": LABELS[label],
            "primaryAnswers": LABELS[int(primary[0].argmax())],
            "primaryConfidence": round(float(primary[0].max()), 4),
            "fallbackAnswers": LABELS[int(fallback[0].argmax())],
            "verdict": verdict,
            "reasons": reasons,
        }
    _write_json("hostile/notes.json", files)
    return files


def _share(flags):
    return round(float(np.mean(flags)), 6) if len(flags) > 0 else None


def _write_json(name, document):
    (FOLDER / name).write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
