#!/usr/bin/env python3
"""Small weight files of every form that the importer reads, and some that it must refuse. Made once with Debian 12's
python3-torch 1.13.1 (/usr/bin/python3 make.py): the files lie beside this script, the tests need no Python."""
import collections
import pickle

import torch


def tensors():
    torch.manual_seed(3)
    grid = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    return collections.OrderedDict([
        ("conv1.weight", grid.clone()),
        ("transposed", grid[0].t()),
        ("part", grid[1, 1:]),
        ("half", torch.tensor([0.5, -2.0], dtype=torch.float16)),
        ("counter", torch.tensor(7)),
        ("empty", torch.zeros(0, 5)),
    ])


class Call:
    """What a hostile pickle looks like: unpickling it would run a command."""
    def __reduce__(self):
        import os
        return (os.system, ("true",))


def main():
    state = tensors()
    torch.save(state, "zip.pth")
    torch.save(state, "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": dict(state), "lr": 0.1}, "nested.pth")
    torch.save({"weight": torch.nn.Parameter(torch.ones(2, 2))}, "parameter.pth")
    torch.save({"weight": torch.ones(1), "extra": Call()}, "hostile.pth")
    torch.save({"weight": torch.ones(1), "extra": Call()}, "hostile_legacy.pth", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), "torchscript.pt")
    with open("plain.pickle", "wb") as file:
        pickle.dump({"a": 1}, file, protocol=2)


if __name__ == "__main__":
    main()
