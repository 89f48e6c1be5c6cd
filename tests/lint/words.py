#!/usr/bin/env python3
"""Fails on marks of unfinished work, on paths of one person's machine and on words about how the project is made.
Usage: words.py ROOT"""
import re
import sys

import tree

# Written with a class in the middle, so that this file does not name itself.
MARKS = re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b")
MACHINE = re.compile(r"(?<![\w$}/.-])/(w[o]rk|f[a]rm)/|/h[o]me/\w|/ro[o]t/|/tmp/bu[i]ld-")
MAKING = re.compile(r"\b(su[b]agent|Cla[u]de|Anthr[o]pic|Open[A]I|Chat[G]PT|Co[p]ilot|langu[a]ge model assistant)\b", re.I)
TEXT = (".c", ".h", ".cc", ".hh", ".py", ".sh", ".md", ".txt", ".cmake", ".json", ".ini", ".sample", ".service", ".target",
        ".conf", ".yml", ".yaml", "check", "demo", "install-packages", "run")
# Words that the tree itself must be able to talk about.
ALLOWED = re.compile(r"(/\*|//|#|<!--) allow: [^*\s]")


def check(root):
    faults = []
    for path in tree.files(root):
        if not path.endswith(TEXT) or path.startswith("tests/data/"):
            continue
        for number, line in enumerate(tree.lines(root, path), 1):
            for pattern, why in ((MARKS, "unfinished"), (MACHINE, "a path of one machine"), (MAKING, "not of the product")):
                found = pattern.search(line)
                if found and not ALLOWED.search(line):
                    faults.append(f"{path}:{number}: '{found.group(0)}': {why}")
    return faults


SELF_TEST = {
    "daemon/a.c": "/* TO" "DO: later */\n",
    "docs/b.md": "see /w" "ork/x\n",
    "docs/c.md": "the suba" "gent wrote\n",
}

if __name__ == "__main__":
    sys.exit(tree.main(check, SELF_TEST))
