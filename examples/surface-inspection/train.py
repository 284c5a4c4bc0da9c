#!/usr/bin/python3
"""Trains both networks on generated images and exports them to models/*.onnx; `measure.py` does the rest.

Weights also go to .cache/*.pt, because `measure.py` needs gradients and an ONNX file has none.
"""

import math
import sys
import time

import numpy as np
import torch
from torch.nn import functional

from generate import FOLDER, LABELS, SEED, SIZE, make_split
from networks import ARCHITECTURES, Deployed

TRAIN_IMAGES = 10_000
VALIDATION_IMAGES = 2_000
EPOCHS = 20
BATCH = 64
LEARNING_RATE_MAX = 4e-3
OPSET = 13
CACHE = FOLDER / ".cache"


def main():
    torch.set_num_threads(1)
    started = time.monotonic()
    training = as_tensors(*make_split("train", TRAIN_IMAGES))
    validation = as_tensors(*make_split("validation", VALIDATION_IMAGES))
    print(f"{TRAIN_IMAGES + VALIDATION_IMAGES} images made in {time.monotonic() - started:.0f} s")
    for offset, (role, architecture) in enumerate(ARCHITECTURES.items()):
        torch.manual_seed(SEED + offset)
        network = architecture(len(LABELS))
        _train(network, training, validation)
        deployed = Deployed(network, _temperature(network, validation)).eval()
        print(f"{role}: temperature {deployed.temperature:.3f}")
        _save(role, deployed)
    print(f"done in {time.monotonic() - started:.0f} s")


def as_tensors(images, labels):
    """uint8 [n, 64, 64] to what the networks take: float32 [n, 1, 64, 64] with values from 0 to 1."""
    return torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1), torch.from_numpy(labels)


def load(role):
    """A trained network as it ships, in evaluation mode."""
    saved = torch.load(CACHE / f"{role}.pt")
    deployed = Deployed(ARCHITECTURES[role](len(LABELS)), saved["temperature"])
    deployed.network.load_state_dict(saved["weights"])
    return deployed.eval()


def in_batches(function, images):
    with torch.no_grad():
        return torch.cat([function(batch) for batch in images.split(256)])


def _train(network, training, validation):
    images, labels = training
    steps = EPOCHS * math.ceil(len(images) / BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE_MAX, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE_MAX, total_steps=steps, pct_start=0.25)
    for epoch in range(EPOCHS):
        network.train()
        for chosen in torch.randperm(len(images)).split(BATCH):
            loss = functional.cross_entropy(network(_augment(images[chosen])), labels[chosen], label_smoothing=0.02)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % 4 == 3:
            network.eval()
            correct = in_batches(network, validation[0]).argmax(dim=1) == validation[1]
            print(f"  epoch {epoch + 1}: validation accuracy {correct.float().mean():.4f}")
            sys.stdout.flush()


def _augment(images):
    """Turns and mirrors, a shift, another exposure, a little more noise: what changes the picture and not its label."""
    images = images.rot90(int(torch.randint(4, ())), dims=(2, 3))
    mirrored = torch.rand(len(images)) < 0.5
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    reach = 4
    down, right = torch.randint(2 * reach + 1, (2,)).tolist()
    images = functional.pad(images, (reach,) * 4, mode="reflect")[:, :, down : down + SIZE, right : right + SIZE]
    gain = 0.85 + 0.3 * torch.rand(len(images), 1, 1, 1)
    noise = 0.012 * torch.rand(len(images), 1, 1, 1) * torch.randn_like(images)
    return (images * gain + noise).clamp(0, 1)


def _temperature(network, validation):
    """The divisor of the logits that makes confidence mean frequency on the validation set (Guo et al. 2017)."""
    network.eval()
    logits, labels = in_batches(network, validation[0]), validation[1]
    candidates = np.exp(np.linspace(math.log(0.4), math.log(2.5), 400))
    losses = [float(functional.cross_entropy(logits / t, labels)) for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def _save(role, deployed):
    CACHE.mkdir(exist_ok=True)
    torch.save({"temperature": deployed.temperature, "weights": deployed.network.state_dict()}, CACHE / f"{role}.pt")
    target = FOLDER / "models" / f"{role}.onnx"
    target.parent.mkdir(exist_ok=True)
    torch.onnx.export(
        deployed,
        torch.rand(1, 1, SIZE, SIZE),
        str(target),
        opset_version=OPSET,
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_axes={"image": {0: "batch"}, "probabilities": {0: "batch"}},
    )


if __name__ == "__main__":
    main()
