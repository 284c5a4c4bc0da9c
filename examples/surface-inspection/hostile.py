"""Images made to mislead: two accidents (light, noise) and three attacks on the primary model that hide a defect.

Every function takes uint8 images [n, 64, 64] and gives as many back, rounded to 8 bits, because that is what a camera or a
file would deliver. The attacks know the primary model's weights and aim at the answer `none`; they do not know the guard.
"""

import numpy as np
import torch
from torch.nn import functional

from generate import LABELS, SEED, SIZE

FGSM_STEP = 8 / 255
PGD_REACH = 4 / 255
PGD_STEP = 1 / 255
PGD_STEPS = 12
PATCH_SIDE = 14
PATCH_STEPS = 40

NOTES = {
    "overexposed": "The exposure is 1.9 times too long: light areas clip to white.",
    "heavy-noise": "Sensor noise of standard deviation 0.12 was added (clean images have at most 0.022).",
    "fgsm": "Fast gradient sign attack on the primary model: one step of 8/255 towards `none` (Goodfellow et al. 2015).",
    "patch": "A sticker of 14 x 14 pixels in one corner, optimised against the primary model to be read as `none`.",
    "pgd": "Projected gradient attack on the primary model: 12 steps towards `none`, within 4/255 (Madry et al. 2018).",
}


def make_hostile(kind, images, primary):
    if kind == "overexposed":
        return _to_bytes(images / 255 * 1.9)
    if kind == "heavy-noise":
        return _to_bytes(images / 255 + np.random.default_rng(SEED).normal(0, 0.12, images.shape))
    attack = {"fgsm": _fgsm, "pgd": _pgd, "patch": _patch}[kind]
    clean = torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)
    return _to_bytes(attack(clean, primary).squeeze(1).numpy())


def _fgsm(clean, primary):
    return clean - FGSM_STEP * _gradient(clean, primary).sign()


def _pgd(clean, primary):
    generator = torch.Generator().manual_seed(SEED)
    image = clean + PGD_REACH * (2 * torch.rand(clean.shape, generator=generator) - 1)
    for _ in range(PGD_STEPS):
        image = image - PGD_STEP * _gradient(image, primary).sign()
        image = torch.clamp(torch.minimum(torch.maximum(image, clean - PGD_REACH), clean + PGD_REACH), 0, 1)
    return image


def _patch(clean, primary):
    inside = torch.zeros(1, 1, SIZE, SIZE)
    inside[:, :, 2 : 2 + PATCH_SIDE, 2 : 2 + PATCH_SIDE] = 1
    generator = torch.Generator().manual_seed(SEED)
    image = torch.where(inside > 0, torch.rand(clean.shape, generator=generator), clean)
    for step in range(PATCH_STEPS):
        size = 0.15 * (1 - step / PATCH_STEPS)
        image = torch.clamp(image - size * inside * _gradient(image, primary).sign(), 0, 1)
    return image


def _gradient(image, primary):
    """Slope of the loss for the answer `none` with respect to the pixels."""
    image = image.detach().requires_grad_(True)
    probabilities = primary(image).clamp_min(1e-12)
    target = torch.full((len(image),), LABELS.index("none"))
    functional.nll_loss(probabilities.log(), target, reduction="sum").backward()
    return image.grad


def _to_bytes(values):
    return np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
