"""The guard's arithmetic in NumPy: input statistics, their calibrated ranges, and the verdict. Follows spec/guard.md 2 to 4."""

import math

import numpy as np

CONFIDENCE_THRESHOLD = 0.85
QUANTILES = (0.005, 0.995)
STATISTICS = ("brightness", "contrast", "noise")


def statistics(images):
    """Brightness, contrast and noise of uint8 images [n, h, w], as the guard sees them after the step to float32 0..1."""
    grey = (images.astype(np.float32) / np.float32(255)).astype(np.float64)
    height, width = grey.shape[1:]
    vertical = grey[:, :-2] - 2 * grey[:, 1:-1] + grey[:, 2:]
    response = vertical[:, :, :-2] - 2 * vertical[:, :, 1:-1] + vertical[:, :, 2:]
    noise = math.sqrt(math.pi / 2) * np.abs(response).sum(axis=(1, 2)) / (6 * (width - 2) * (height - 2))
    return {"brightness": grey.mean(axis=(1, 2)), "contrast": grey.std(axis=(1, 2)), "noise": noise}


def calibrate(images):
    """Ranges of a clean set: the quantiles, widened by a tenth of their distance at each end, in whole millionths."""
    ranges = {}
    for name, values in statistics(images).items():
        least, most = np.quantile(values, QUANTILES)
        margin = (most - least) / 10
        ranges[name] = {
            "leastMillionths": math.floor((least - margin) * 1e6),
            "mostMillionths": math.ceil((most + margin) * 1e6),
        }
    return ranges


def settings(images, labels):
    """The guard settings of spec/guard.md 3 for these models, calibrated on clean `images`."""
    return {
        "confidenceThresholdMillionths": round(CONFIDENCE_THRESHOLD * 1e6),
        "input": {
            "layout": "NCHW",
            "name": "image",
            "valueRange": {"leastMillionths": 0, "mostMillionths": 1_000_000},
        },
        "labels": list(labels),
        "output": {"name": "probabilities", "scores": "probabilities"},
        "statistics": calibrate(images),
    }


def verdicts(images, primary, fallback, ranges):
    """Per image (verdict, reasons, class answered), from both models' probabilities [n, classes]."""
    measured = statistics(images)
    return [
        _verdict({name: measured[name][i] for name in STATISTICS}, primary[i], fallback[i], ranges)
        for i in range(len(images))
    ]


def _verdict(measured, primary, fallback, ranges):
    best = int(primary.argmax())
    strange = []
    for name in STATISTICS:
        if measured[name] < ranges[name]["leastMillionths"] / 1e6:
            strange.append(f"{name}-low")
        if measured[name] > ranges[name]["mostMillionths"] / 1e6:
            strange.append(f"{name}-high")
    if strange:
        return "review", strange, best
    if primary.max() >= CONFIDENCE_THRESHOLD:
        return "accepted", [], best
    if fallback.max() < CONFIDENCE_THRESHOLD:
        return "review", ["confidence-low", "fallback-confidence-low"], best
    if fallback.argmax() != best:
        return "review", ["confidence-low", "fallback-disagrees"], best
    return "fallback", ["confidence-low", "fallback-agrees"], int(fallback.argmax())
