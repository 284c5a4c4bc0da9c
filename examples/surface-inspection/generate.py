#!/usr/bin/python3
"""Seeded generator of gray-scale surface images, 64 x 64 pixels of 8 bits, with one of four kinds of defect or none.

An image is built as a camera would see it: light, then material, then dirt, then the defect, then blur, noise and
quantisation. Every image has a random stream of its own, made from (seed, split, index), so that any single one can be
made again and no two splits share one. Run as a script it writes the held-out test set: test-set/*.png and labels.json.
"""

import json
import math
from pathlib import Path

import numpy as np

LABELS = ("none", "scratch", "pit", "inclusion", "crack")
SIZE = 64
SEED = 20250117
SPLITS = {"train": 0, "validation": 1, "measure": 2, "test": 3}
TEST_IMAGES_PER_LABEL = 20
FOLDER = Path(__file__).resolve().parent

_ROWS, _COLUMNS = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)


def make_split(split, count):
    """`count` images of a split and their labels: uint8 [count, 64, 64] and int64 [count]; the labels take turns."""
    labels = np.arange(count, dtype=np.int64) % len(LABELS)
    images = np.stack([make_image(split, index, LABELS[label]) for index, label in enumerate(labels)])
    return images, labels


def make_image(split, index, label):
    """One image, uint8 [64, 64]; the same for the same arguments."""
    rng = np.random.default_rng([SEED, SPLITS[split], index])
    image = _light(rng) * (1 + _material(rng))
    image += _dirt(rng)
    image += _DEFECTS[label](rng) * image.mean() / 0.5
    image = _blur(image, rng.uniform(0.25, 0.9))
    image += rng.normal(0, rng.uniform(0.005, 0.022), image.shape)
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


# Light and material


def _light(rng):
    """Illumination: a level, a gradient from one side, and the fall-off of a lens towards the corners."""
    level = rng.uniform(0.34, 0.66)
    angle = rng.uniform(0, 2 * math.pi)
    along = (np.cos(angle) * (_COLUMNS - SIZE / 2) + np.sin(angle) * (_ROWS - SIZE / 2)) / SIZE
    centre = rng.uniform(SIZE * 0.3, SIZE * 0.7, 2)
    distance = np.hypot(_ROWS - centre[0], _COLUMNS - centre[1]) / SIZE
    return level * (1 + rng.uniform(0, 0.4) * along) * (1 - rng.uniform(0, 0.35) * distance**2)


def _material(rng):
    """Relative reflectance of one of three finishes: cast (blotchy), brushed (grain in one direction), milled (even marks)."""
    finish = rng.integers(3)
    grain = _coloured_noise(rng, slope=rng.uniform(0.7, 1.4), stretch=1.0, angle=0.0) * rng.uniform(0.015, 0.045)
    angle = rng.uniform(0, math.pi)
    strength = rng.uniform(0.02, 0.06)
    if finish == 0:
        return grain + _coloured_noise(rng, slope=1.8, stretch=1.0, angle=0.0) * strength
    if finish == 1:
        return grain + _coloured_noise(rng, slope=0.9, stretch=rng.uniform(6, 14), angle=angle) * strength
    across = np.cos(angle) * _ROWS - np.sin(angle) * _COLUMNS
    wobble = _coloured_noise(rng, slope=2.2, stretch=1.0, angle=0.0) * rng.uniform(0.1, 0.5)
    marks = np.sin(2 * math.pi * across / rng.uniform(3.5, 9.0) + wobble + rng.uniform(0, 2 * math.pi))
    return grain + marks * strength


def _coloured_noise(rng, slope, stretch, angle):
    """Noise of unit deviation whose amplitude falls as frequency^-slope; `stretch` > 1 draws it out along `angle`."""
    side = SIZE + 32  # the margin is cut off again, so that the pattern does not join up at the edges
    vertical = np.fft.fftfreq(side)[:, None]
    horizontal = np.fft.rfftfreq(side)[None, :]
    along = np.cos(angle) * horizontal + np.sin(angle) * vertical
    across = -np.sin(angle) * horizontal + np.cos(angle) * vertical
    frequency = np.sqrt((along * stretch) ** 2 + across**2)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(side, side))) / np.maximum(frequency, 1 / side) ** slope
    noise = np.fft.irfft2(spectrum, s=(side, side))[:SIZE, :SIZE]
    return (noise - noise.mean()) / noise.std()


def _dirt(rng):
    """What is no defect and must not be taken for one: specks of dust and a soft stain."""
    dirt = np.zeros((SIZE, SIZE))
    for _ in range(rng.integers(0, 4)):
        row, column = rng.uniform(2, SIZE - 2, 2)
        dirt += rng.uniform(-0.14, 0.10) * _bump(np.hypot(_ROWS - row, _COLUMNS - column), rng.uniform(0.45, 0.75))
    if rng.random() < 0.35:
        row, column = rng.uniform(0, SIZE, 2)
        dirt += rng.uniform(-0.05, 0.04) * _bump(np.hypot(_ROWS - row, _COLUMNS - column), rng.uniform(9, 18))
    return dirt


# Defects: each returns what is added to the image


def _none(_rng):
    return np.zeros((SIZE, SIZE))


def _scratch(rng):
    """A long, nearly straight groove, bright or dark, with a thin shoulder of the other sign; it fades in and out."""
    length, angle = rng.uniform(16, 52), rng.uniform(0, math.pi)
    middle = rng.uniform(14, SIZE - 14, 2)
    half = np.array([math.sin(angle), math.cos(angle)]) * length / 2
    bow = np.array([math.cos(angle), -math.sin(angle)]) * rng.normal(0, 0.045) * length
    t = np.linspace(0, 1, 10)[:, None]
    path = middle - half + 2 * half * t + 4 * bow * t * (1 - t)
    depth = _strength(rng, 0.19) * rng.choice([-1.0, 1.0])
    fade = np.sin(math.pi * np.linspace(0.12, 0.88, 9)) ** 0.5
    width = np.full(9, rng.uniform(0.5, 1.0))
    groove = _stroke(path, width, fade)
    shoulder = _stroke(path + np.sign(bow.sum() + 1e-9) * 1.3, width, fade)
    return depth * (groove - 0.3 * shoulder)


def _crack(rng):
    """A dark, jagged, branching line that narrows towards its ends."""
    depth = -_strength(rng, 0.22)
    angle = rng.uniform(0, 2 * math.pi)
    steps = int(rng.integers(7, 15))
    path = _walk(rng, rng.uniform(14, SIZE - 14, 2), angle, steps)
    field = _tapered(path, rng.uniform(0.55, 1.05))
    for _ in range(rng.integers(0, 3)):
        start = path[rng.integers(2, len(path) - 1)]
        turned = angle + rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.2)
        branch = _walk(rng, start, turned, int(rng.integers(2, 6)))
        field = np.maximum(field, 0.8 * _tapered(branch, rng.uniform(0.45, 0.7)))
    return depth * field


def _pit(rng):
    """One to three small round hollows: a dark floor, and a rim that catches the light on one side."""
    light = rng.uniform(0, 2 * math.pi)
    field = np.zeros((SIZE, SIZE))
    for _ in range(rng.integers(1, 4)):
        row, column = rng.uniform(6, SIZE - 6, 2)
        radius, depth = rng.uniform(1.1, 3.0), _strength(rng, 0.22)
        down, right = _ROWS - row, _COLUMNS - column
        floor = _bump(np.hypot(down, right * rng.uniform(0.8, 1.25)), radius)
        slope = (np.sin(light) * down + np.cos(light) * right) / radius
        field += depth * floor * (-1 + rng.uniform(0.4, 0.9) * slope)
    return field


def _inclusion(rng):
    """A foreign particle pressed into the surface: an irregular outline, another brightness, a grain of its own."""
    row, column = rng.uniform(9, SIZE - 9, 2)
    radius = rng.uniform(2.2, 6.5)
    angle = np.arctan2(_ROWS - row, _COLUMNS - column)
    outline = np.full((SIZE, SIZE), radius)
    for wave in range(2, 6):
        outline += radius * rng.uniform(0, 0.42 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * math.pi))
    inside = 1 / (1 + np.exp((np.hypot(_ROWS - row, _COLUMNS - column) - outline) / rng.uniform(0.35, 0.8)))
    grain = _coloured_noise(rng, slope=0.5, stretch=1.0, angle=0.0) * rng.uniform(0.01, 0.035)
    shift = _strength(rng, 0.145) * rng.choice([-1.0, -1.0, 1.0])
    return inside * (shift + grain)


_DEFECTS = {"none": _none, "scratch": _scratch, "pit": _pit, "inclusion": _inclusion, "crack": _crack}


# Strokes and filters


def _strength(rng, typical):
    """Depth of a defect: log-normal around `typical`, so that faint ones are common and none is absurdly strong."""
    return float(np.clip(rng.lognormal(math.log(typical), 0.34), 0.45 * typical, 2.0 * typical))


def _bump(distance, radius):
    return np.exp(-((distance / radius) ** 2))


def _walk(rng, start, angle, steps):
    """A path of `steps` segments of 2 to 4.5 pixels whose heading jitters around `angle`."""
    headings = angle + rng.normal(0, 0.55, steps)
    lengths = rng.uniform(2.0, 4.5, steps)
    moves = np.stack([np.sin(headings), np.cos(headings)], axis=1) * lengths[:, None]
    return np.concatenate([start[None, :], start + np.cumsum(moves, axis=0)])


def _tapered(path, width):
    segments = len(path) - 1
    return _stroke(path, width * np.linspace(1.0, 0.6, segments), np.linspace(1.0, 0.55, segments))


def _stroke(path, widths, heights):
    """Soft-edged polyline: per pixel the strongest segment, each with a Gaussian profile of its own width and height."""
    field = np.zeros((SIZE, SIZE))
    for start, end, width, height in zip(path[:-1], path[1:], widths, heights):
        move = end - start
        along = ((_ROWS - start[0]) * move[0] + (_COLUMNS - start[1]) * move[1]) / max(float(move @ move), 1e-9)
        along = np.clip(along, 0, 1)
        distance = np.hypot(_ROWS - start[0] - along * move[0], _COLUMNS - start[1] - along * move[1])
        field = np.maximum(field, height * _bump(distance, width))
    return field


def _blur(image, sigma):
    """Gaussian blur, edges mirrored."""
    reach = 4
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(image, reach, mode="reflect")
    rows = sum(weight * padded[offset : offset + SIZE, :] for offset, weight in enumerate(kernel))
    return sum(weight * rows[:, offset : offset + SIZE] for offset, weight in enumerate(kernel))


# The shipped test set


def test_set_names():
    """File name to label of the shipped test set, in the order of `make_split("test", 100)`."""
    count = TEST_IMAGES_PER_LABEL * len(LABELS)
    return {f"{LABELS[i % len(LABELS)]}-{i // len(LABELS):02d}.png": LABELS[i % len(LABELS)] for i in range(count)}


def write_test_set():
    from PIL import Image

    names = test_set_names()
    images, _ = make_split("test", len(names))
    folder = FOLDER / "test-set"
    folder.mkdir(exist_ok=True)
    for name, image in zip(names, images):
        Image.fromarray(image, mode="L").save(folder / name, optimize=True)
    document = {"labels": list(LABELS), "images": dict(sorted(names.items()))}
    (folder / "labels.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    write_test_set()
