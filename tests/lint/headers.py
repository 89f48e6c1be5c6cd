#!/usr/bin/env python3
"""Compiles every header alone: .h as C17 -pedantic and as C++17, .hh as C++17. Usage: headers.py ROOT"""
import concurrent.futures
import os
import subprocess
import sys

import tree

ROOMS = ("daemon/", "config/", "storage/", "dicom/", "model/")
COMMON = ["-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-D_GNU_SOURCE"]
C = ["gcc", "-std=c17", "-xc"]
CPP = ["g++", "-std=c++17", "-xc++"]


def torch_includes():
    """Debian's, and those of a libtorch folder named by the build (LVN_TORCH_INCLUDES, separated by colons)."""
    folders = os.environ.get("LVN_TORCH_INCLUDES", "").split(":")
    # The system's own folder must keep its place in the search order: <cstdlib> includes the next <stdlib.h>.
    return [f"-isystem{f}" for f in folders if f and f != "/usr/include"]


def compile_alone(root, path, compiler):
    # An empty translation unit is not allowed by ISO C: one declaration after the header.
    unit = f'#include "{path}"\nextern int lvn_header_test;\n'
    done = subprocess.run(compiler + COMMON + [f"-I{root}"] + torch_includes() + ["-"], input=unit, text=True,
                          capture_output=True, check=False)
    if done.returncode == 0:
        return None
    first = next((l for l in done.stderr.splitlines() if "error" in l), done.stderr[:200])
    return f"{path}: as {compiler[1][5:]}: {first}"


def check(root):
    work = []
    for path in tree.sources(root, (".h", ".hh")):
        if path.startswith(ROOMS):
            work += [(root, path, CPP)] + ([(root, path, C)] if path.endswith(".h") else [])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [f for f in pool.map(lambda w: compile_alone(*w), work) if f]


SELF_TEST = {
    "config/a.h": "size_t lvn_a(void);\n",
    "config/b.h": "int lvn_b(int class, int new);\nint lvn_b(int *restrict class);\n",
    "dicom/c.hh": "#include <string>\nstd::string lvn_c(;\n",
}

if __name__ == "__main__":
    sys.exit(tree.main(check, SELF_TEST))
