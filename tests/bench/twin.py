"""The training step of affuse in PyTorch: ResNet-18 with two heads, the three losses, fused Adam.

usage: twin.py eager|compiled PRECISION BATCH IMAGE_SIZE

Says what it is as a line of JSON, then answers each line "round N" of stdin with the mean time of N
steps; ends with stdin. The batch lies on the device. The twin normalises its images and takes ready
soft labels; affuse also turns, flips and jitters them and computes the labels' posteriors.
"""
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional

CLASSES = 8
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    def __init__(self, width_in, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False),
                                            nn.BatchNorm2d(width))

    def forward(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        return functional.relu(self.bn2(self.conv2(y)) + skip, inplace=True)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        widths = (64, 64, 128, 256, 512)
        self.blocks = nn.Sequential(*(
            Block(widths[i] if j == 0 else widths[i + 1], widths[i + 1], 2 if i > 0 and j == 0 else 1)
            for i in range(4) for j in range(2)))
        self.fc_class = nn.Linear(512, CLASSES)
        self.fc_va = nn.Linear(512, 2)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        x = self.blocks(functional.max_pool2d(x, 3, 2, 1)).mean((2, 3))
        return self.fc_class(x), torch.tanh(self.fc_va(x))


def losses(logits, va_hat, q, va, weight):
    """Soft-target cross-entropy, cosine distance and squared distance, each weighted a sample."""
    logits, va_hat = logits.float(), va_hat.float()
    ce = -(q * functional.log_softmax(logits, 1)).sum(1)
    cosine = 1 - functional.cosine_similarity(q, functional.softmax(logits, 1), dim=1)
    l2 = (va_hat - va).square().sum(1)
    return (weight * (ce + cosine + l2)).mean()


class Twin:
    def __init__(self, kind, precision, batch, size):
        tf32 = precision != "fp32"
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(1)
        self.type = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision)
        device = torch.device("cuda")
        self.network = Network().to(device, memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-4, fused=True)
        self.scaler = torch.amp.GradScaler("cuda", enabled=precision == "fp16", init_scale=128.0)
        # uint8 NHWC, as affuse's batch; permuted it is NCHW in channels_last order.
        self.images = torch.randint(0, 256, (batch, size, size, 3), dtype=torch.uint8, device=device)
        label = torch.randint(0, CLASSES, (batch,), device=device)
        self.q = 0.5 * functional.one_hot(label, CLASSES) + 0.5 * torch.rand(
            batch, CLASSES, device=device).softmax(1)
        self.va = torch.rand(batch, 2, device=device) * 2 - 1
        self.weight = torch.ones(batch, device=device)
        self.mean = (torch.tensor(MEAN, device=device) * 255).view(1, 3, 1, 1)
        self.scale = 1 / (torch.tensor(STD, device=device) * 255).view(1, 3, 1, 1)
        self.compiled = kind == "compiled"
        self.loss = torch.compile(self.loss_of, mode="max-autotune") if self.compiled else self.loss_of

    def loss_of(self, images, q, va, weight):
        x = ((images.permute(0, 3, 1, 2).float() - self.mean) * self.scale)
        with torch.autocast("cuda", self.type or torch.float16, enabled=self.type is not None):
            logits, va_hat = self.network(x if self.type is None else x.to(self.type))
        return losses(logits, va_hat, q, va, weight)

    def step(self):
        if self.compiled:
            torch.compiler.cudagraph_mark_step_begin()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(self.images, self.q, self.va, self.weight)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss

    def round(self, count):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(count):
            self.step()
        torch.cuda.synchronize()
        return {"ms": (time.perf_counter() - begun) * 1e3 / count}


def say(answer):
    print(json.dumps(answer), flush=True)


def main():
    kind, precision, batch, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if not torch.cuda.is_available():
        sys.exit("twin.py: no CUDA device")
    begun = time.perf_counter()
    twin = Twin(kind, precision, batch, size)
    for _ in range(5):
        loss = twin.step().item()
    torch.cuda.synchronize()
    setup = time.perf_counter() - begun
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    twin.round(3)
    say({"name": kind, "precision": precision, "batch": batch, "torch": torch.__version__,
         "cudnn": torch.backends.cudnn.version(), "setup_s": setup, "loss": loss,
         "allocated_bytes": torch.cuda.max_memory_allocated(),
         "device_bytes": torch.cuda.max_memory_reserved()})
    for line in sys.stdin:
        say(twin.round(int(line.split()[1])))


if __name__ == "__main__":
    main()
