#!/usr/bin/env python3
"""Fails on a header's comment that names, in `backticks`, something that neither its header nor one that it includes
declares: a parameter that was renamed, a function that is gone. Usage: comments.py ROOT"""
import re
import sys

import tree

BLOCK = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
NAMED = re.compile(r"`([a-z_][a-z0-9_]*)(?:\(\))?`")
INCLUDE = re.compile(r'#\s*include\s*"([^"]+)"')
WORD = re.compile(r"[A-Za-z_]\w*")
PROGRAMS = {"livervlm", "livervlmd", "receiver", "pipeline", "worker"}  # and roles


def words_of(root, path, seen):
    """Every identifier of a header's code and of the project's headers that it includes."""
    if path in seen:
        return set()
    seen.add(path)
    try:
        source = tree.text(root, path)
    except OSError:
        return set()
    words = set(WORD.findall(BLOCK.sub(" ", source)))
    for included in INCLUDE.findall(source):
        words |= words_of(root, included, seen)
    return words


def check(root):
    faults = []
    for path in tree.sources(root, (".h", ".hh")):
        source = tree.text(root, path)
        words = None
        for comment in BLOCK.finditer(source):
            for named in NAMED.finditer(comment.group(0)):
                words = words if words is not None else words_of(root, path, set())
                if named.group(1) not in words | PROGRAMS:
                    line = source.count("\n", 0, comment.start() + named.start()) + 1
                    faults.append(f"{path}:{line}: `{named.group(1)}` is declared nowhere here")
    return faults


SELF_TEST = {
    "base/a.h": "/* Fills `ret_peer`. */\nvoid lvn_a(int ret_name);\n",
    "base/b.h": "// Of `count`.\nvoid lvn_b(int size);\n",
}

if __name__ == "__main__":
    sys.exit(tree.main(check, SELF_TEST))
