#!/usr/bin/env python3
"""Fails on any #include against the layers of the design: base knows libc alone, config, storage, dicom and model know
base and themselves, daemon knows all; DCMTK, torch and SQLite are each known in one place. Usage: layers.py ROOT"""
import re
import sys

import tree

ROOMS = ("base", "config", "storage", "dicom", "model", "daemon")
ALLOWED = {
    "base": ("base",),
    "config": ("base", "config"),
    "storage": ("base", "storage"),
    "dicom": ("base", "dicom"),
    "model": ("base", "model"),
    "daemon": ROOMS,
}
# header pattern -> files that may include it
GUARDED = (
    (r"dcmtk/", r"^dicom/.*_dcmtk\.(cc|hh)$", "DCMTK belongs in dicom/**/*_dcmtk.cc"),
    (r"(torch|ATen|c10)/", r"^(model/.*_torch\.(cc|hh)|cmake/torch_pch\.cc)$", "torch belongs in model/**/*_torch.cc"),
    (r"sqlite3\.h$", r"^storage/", "SQLite belongs in storage/"),
    (r"openssl/", r"^(base/sha256\.c|model/network/|model/train/|model/package/|cli/|"
     r"analysis/dataset/pseudonym\.c)", "OpenSSL belongs in base/sha256.c, the model package's signature and pseudonyms"),
    (r"csv\.h$", r"^analysis/dataset/", "libcsv belongs in analysis/dataset"),
    (r"zip\.h$", r"^model/tensor/", "libzip belongs in model/tensor"),
    (r"ini\.h$", r"^(config/|model/(train|study)/)", "inih belongs in config/ and the trainer's recipes"),
    (r"microhttpd\.h$", r"^daemon/web/", "libmicrohttpd belongs in daemon/web/"),
    (r"cairo", r"^(daemon/|model/(draw|report)/)", "Cairo belongs in daemon/, model/draw and model/report"),
    (r"gsl/", r"^model/stats/", "GSL belongs in model/stats"),
    (r"curl/", r"^daemon/", "curl belongs in daemon/"),
)
BASE_MAY = re.compile(r"^(openssl/\w+\.h|[a-z0-9_]+\.h|(sys|arpa|netinet|net|linux)/[a-z0-9_]+\.h|[a-z_]+)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path):
    for room in ROOMS:
        if path.startswith(room + "/"):
            return room
    return None


def fault(path, quote, header):
    """Why this include is against the table; None when it is not."""
    room = room_of(path)
    target = room_of(header)
    if room and target and target not in ALLOWED[room]:
        return f"{room} may not include {target}"
    if room and quote == '"' and target is None:
        return "write the path from the root"
    for pattern, where, why in GUARDED:
        if re.match(pattern, header) and not re.match(where, path) and not path.startswith("tests/"):
            return why
    if room == "base" and quote == "<" and not BASE_MAY.match(header):
        return "base includes libc alone"
    if path.endswith((".c", ".h")) and re.match(r"(dcmtk|torch|ATen|c10)/", header):
        return "C++ libraries stay behind C headers"
    return None


def check(root):
    faults = []
    for path in tree.sources(root, (".c", ".h", ".cc", ".hh")):
        for number, line in enumerate(tree.lines(root, path), 1):
            found = INCLUDE.match(line)
            why = fault(path, found.group(1), found.group(2)) if found else None
            if why:
                faults.append(f"{path}:{number}: {found.group(2)}: {why}")
    return faults


SELF_TEST = {
    "storage/a.c": '#include "dicom/scan/scan.h"\n',
    "model/b.c": '#include "config/config.h"\n',
    "dicom/c.c": '#include <dcmtk/dcmdata/dctk.h>\n',
    "model/d.cc": "#include <torch/torch.h>\n",
    "daemon/e.c": "#include <sqlite3.h>\n",
    "base/f.c": '#include "config/config.h"\n',
    "dicom/g.h": '#include "scan.h"\n',
    "config/h.h": '#include "daemon/web/web.h"\n',
}

if __name__ == "__main__":
    sys.exit(tree.main(check, SELF_TEST))
