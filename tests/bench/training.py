#!/usr/bin/env python3
"""Training throughput beside the same recipe in PyTorch: same machine, same threads, in turns, the best of eighteen
epochs each. Prints images/s of both, by the clock and by CPU time (which a busy machine does not blur), and the ratios. Needs Debian's PyTorch, which is of the libtorch that the program
is linked with:  apt-get install --no-install-recommends python3-torch python3-torchvision
Usage: training.py LIVERVLM [--side 96] [--batch 32] [--threads 2] [--turns 3]"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

PYTORCH = r'''
import sys, time
import torch, torchvision
side, batch, threads, steps = map(int, sys.argv[1:])
torch.set_num_threads(threads)
torch.manual_seed(1)
model = torchvision.models.resnet18()
model.fc = torch.nn.Linear(512, 512)
fc_t = torch.nn.Linear(384, 512)
model = model.to(memory_format=torch.channels_last)
model.train()
parameters = list(model.parameters()) + list(fc_t.parameters())
optimiser = torch.optim.Adam(parameters, lr=5e-4)
prompts = torch.randn(6, 4, 384)
stored = torch.randint(-100, 250, (8 * batch, 3, 224, 224), dtype=torch.int16)
labels = torch.randint(0, 4, (8 * batch,))
table = torch.tensor([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])
best, best_cpu = 0.0, 0.0
for epoch in range(6):
    chosen = torch.randperm(len(stored))
    start, cpu = time.monotonic(), time.process_time()
    for step in range(steps):
        index = chosen[(step * batch) % len(stored):][:batch]
        orders = torch.randint(0, 6, (batch,))
        x = stored[index].float()
        if 2 * side <= 224:
            x = torch.nn.functional.avg_pool2d(x, 2)
        x = ((x + 100.0) / 350.0).clamp_(0, 1).sub_(0.5).div_(0.5)
        if x.shape[2] != side:
            x = torch.nn.functional.interpolate(x, size=(side, side), mode="bilinear", align_corners=False)
        channels = table[orders].view(-1, 3, 1, 1).expand_as(x)
        x = x.gather(1, channels).contiguous(memory_format=torch.channels_last)
        optimiser.zero_grad(set_to_none=True)
        joint = torch.nn.functional.normalize(model(x), dim=-1)
        own = torch.nn.functional.normalize(fc_t(prompts), dim=-1)[orders]
        cosine = (own * joint.unsqueeze(1)).sum(2)
        loss = torch.nn.functional.cross_entropy(cosine, labels[index])
        loss.backward()
        optimiser.step()
        loss.item()
    best = max(best, batch * steps / (time.monotonic() - start))
    best_cpu = max(best_cpu, batch * steps / (time.process_time() - cpu))
print("images/s %.3f, per CPU second %.3f" % (best, best_cpu))
'''


def images_per_second(text):
    """(by the clock, by CPU time), the best of each."""
    found = re.findall(r"images/s ([0-9.]+), per CPU second ([0-9.]+)", text)
    if not found:
        sys.exit("no throughput in:\n" + text)
    return tuple(max(float(row[i]) for row in found) for i in (0, 1))


def run_ours(arguments, data, folder, turn):
    settings = ["pretraining.task=none", f"training.stages=3@{arguments.side}", f"training.batch={arguments.batch}",
                "augmentation.orders=random", f"run.threads={arguments.threads}", "run.device=cpu",
                "run.checkpoint_seconds=86400", "validation.folds=2"]
    command = [arguments.livervlm, "train", "--dataset", str(data), "--cross-validate", "--output",
               str(folder / f"turn{turn}")]
    for setting in settings:
        command += ["--set", setting]
    return images_per_second(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("livervlm")
    parser.add_argument("--side", type=int, default=96)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data = folder / "data"
        subprocess.run([arguments.livervlm, "dataset", "phantom", "--output", str(data), "--seed", "500", "--count", "6",
                        "--lesions", "12", "--matrix", "256", "--alignment", "truth"], check=True, capture_output=True)
        ours, theirs = (0.0, 0.0), (0.0, 0.0)
        for turn in range(arguments.turns):
            ours = tuple(map(max, ours, run_ours(arguments, data, folder, turn)))
            done = subprocess.run(["/usr/bin/python3", "-c", PYTORCH, str(arguments.side), str(arguments.batch),
                                   str(arguments.threads), "4"], check=True, capture_output=True, text=True)
            theirs = tuple(map(max, theirs, images_per_second(done.stdout)))
    print(f"side {arguments.side} batch {arguments.batch} threads {arguments.threads}")
    for name, a, b in zip(("by the clock", "by CPU time"), ours, theirs):
        print(f"{name}: livervlm {a:.2f} images/s, PyTorch {b:.2f} images/s, ratio {a / b:.2f}")


if __name__ == "__main__":
    main()
