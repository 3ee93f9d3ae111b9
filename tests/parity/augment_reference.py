# Writes what torchvision makes of test images, for augment_parity.cpp: augment_reference.py FOLDER
# One file a case, little-endian: int32 n, height, width; for each image 16 float64 (flip, angle,
# tx, ty, scale, shear x, shear y, brightness, contrast, saturation, hue, the order of the four
# jitter steps as base-4 digits, erase top, left, height, width); uint8 images [n, h, w, 3];
# float64 results [n, 3, h, w] of torchvision in double, then float32 results of it in float.
import random
import struct
import sys
from pathlib import Path

import torch
import torchvision.transforms.functional as F
from torchvision.transforms import InterpolationMode

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
STEPS = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
CASES = ["identity", "flip", "affine", "brightness", "contrast", "saturation", "hue", "jitter",
         "erase", "all"]


def draw(case, height, width, rng):
    on = lambda *names: case == "all" or case in names
    p = dict(flip=0, angle=0.0, tx=0, ty=0, scale=1.0, shear=[0.0, 0.0], factor=[None] * 4,
             order=[0, 1, 2, 3], erase=[0, 0, 0, 0])
    if on("flip"):
        p["flip"] = 1 if case == "flip" else rng.randint(0, 1)
    if on("affine"):
        p.update(angle=rng.uniform(-45, 45), tx=rng.randint(-width // 6, width // 6),
                 ty=rng.randint(-height // 6, height // 6), scale=rng.uniform(0.7, 1.5),
                 shear=[rng.uniform(-25, 25), rng.uniform(-25, 25)])
    for i, name in enumerate(["brightness", "contrast", "saturation", "hue"]):
        if on(name, "jitter"):
            p["factor"][i] = rng.uniform(-0.5, 0.5) if name == "hue" else rng.uniform(0, 2)
    if on("jitter"):
        rng.shuffle(p["order"])
    if on("erase"):
        h, w = rng.randint(1, height), rng.randint(1, width)
        p["erase"] = [rng.randint(0, height - h), rng.randint(0, width - w), h, w]
    return p


def apply(image, p, affine):
    x = F.hflip(image) if p["flip"] else image
    if affine:  # as RandomAffine(fill=0) calls it
        x = F.affine(x, p["angle"], [p["tx"], p["ty"]], p["scale"], p["shear"],
                     interpolation=InterpolationMode.BILINEAR, fill=[0.0, 0.0, 0.0])
    for i in p["order"]:
        if p["factor"][i] is not None:
            x = STEPS[i](x, p["factor"][i])
    x = F.normalize(x, MEAN, STD)
    top, left, h, w = p["erase"]
    return F.erase(x, top, left, h, w, torch.zeros((), dtype=x.dtype)) if h else x


def images(n, height, width, rng):
    generator = torch.Generator().manual_seed(rng.randint(0, 2**31))
    noise = torch.randint(0, 256, (n, height, width, 3), generator=generator)
    ramp = torch.linspace(0, 255, width).long()
    noise[1, :, :, 0] = ramp  # smooth, with equal and extreme channels
    noise[1, :, :, 1] = ramp.flip(0)
    noise[1, :, : width // 2, 2] = 255
    noise[2] = (noise[2] > 127) * 255  # saturated primaries, black and white
    noise[3] = noise[3, :, :, :1]  # grey
    return noise.to(torch.uint8)


def write(path, case, height, width, rng):
    source = images(8, height, width, rng)
    params = [draw(case, height, width, rng) for _ in source]
    records, results = b"", {torch.float64: b"", torch.float32: b""}
    for image, p in zip(source, params):
        factors = [f if f is not None else d for f, d in zip(p["factor"], [1, 1, 1, 0])]
        order = sum(step * 4**i for i, step in enumerate(p["order"]))
        records += struct.pack("<16d", p["flip"], p["angle"], p["tx"], p["ty"], p["scale"],
                               *p["shear"], *factors, order, *p["erase"])
        for dtype in results:
            x = image.permute(2, 0, 1).to(dtype) / 255
            y = apply(x, p, case in ("affine", "all"))
            results[dtype] += y.contiguous().numpy().tobytes()
    path.write_bytes(struct.pack("<3i", len(source), height, width) + records +
                     source.numpy().tobytes() + results[torch.float64] + results[torch.float32])


def main():
    torch.set_num_threads(1)
    folder, rng = Path(sys.argv[1]), random.Random(7)
    for case in CASES:
        for height, width in [(64, 64), (33, 47), (47, 33)]:
            write(folder / f"{case}_{height}x{width}.bin", case, height, width, rng)


main()
