#!/usr/bin/env python3
"""Fails on any #include through a wrong door: what each room may include is its row below, checked inside daemon/,
dicom/ and model/ too; no circle of rooms, of headers or of modules; foreign libraries are each known in one place.
Usage: layers.py ROOT"""
import posixpath
import re
import sys

import tree

# room: what it may include beside itself. A row's order is from the ground up; no row may name one below it.
BASE = ("base",)
IMAGE = ("base", "model/image")
LOOP = ("base", "base/loop")
STORE = BASE + ("config", "storage", "base/tls")
MODULE = STORE + ("daemon/audit", "daemon/pipeline/shared")  # a module knows no other module
MODULES = tuple(f"daemon/pipeline/{name}" for name in ("ingest", "assembly", "scheduler", "outbox", "commitment", "fetch", "notify",
                                                     "workflow", "retention"))
ROOMS = {
    "base": (),
    "base/loop": BASE,
    "base/tls": BASE,
    "base/http": BASE,
    "config": BASE + ("base/tls",),
    "storage": BASE,
    "model/image": BASE,
    "model/tensor": BASE,
    "model/draw": BASE,
    "model/stats": IMAGE,
    "model/phantom": IMAGE,
    "model/registration": IMAGE,
    "model/text": IMAGE + ("model/tensor",),
    "model/dataset": IMAGE + ("model/tensor",),
    "model/cohort": IMAGE + ("model/dataset", "model/phantom", "model/registration"),
    "model/network": IMAGE + ("model/tensor", "model/text"),
    "model/train": IMAGE + ("model/tensor", "model/text", "model/dataset", "model/network"),
    "model/evaluation": IMAGE + ("model/tensor", "model/stats", "model/dataset", "model/network", "model/train"),
    "model/experiment": IMAGE + ("model/tensor", "model/stats", "model/dataset", "model/train"),
    "model/report": IMAGE + ("model/tensor", "model/stats", "model/draw", "model/evaluation"),
    "analysis/findings": IMAGE,
    "dicom/scan": BASE,
    "dicom/load": BASE + ("dicom/scan",),
    "dicom/net/transport": BASE + ("base/tls",),
    "dicom/net/association": BASE + ("base/tls", "dicom/scan", "dicom/net/transport"),
    "dicom/net/dimse": BASE + ("dicom/net/association",),
    "dicom/net/services": BASE + ("dicom/scan", "dicom/load", "dicom/net/association", "dicom/net/dimse"),
    "dicom/web": BASE + ("base/http",),
    "dicom/read": IMAGE + ("dicom/scan", "dicom/load"),
    "dicom/write": IMAGE + ("dicom/scan", "dicom/load", "analysis/findings"),
    "analysis": IMAGE + ("model/tensor", "model/draw", "model/registration", "model/network", "dicom/scan",
                         "dicom/read", "dicom/write", "analysis/findings"),
    "analysis/dataset": IMAGE + ("model/tensor", "model/draw", "model/dataset", "dicom/scan", "dicom/read",
                                 "analysis/findings", "analysis"),
    "daemon/web": BASE,
    "daemon/audit": BASE + ("base/tls", "config", "dicom/net/transport"),
    "daemon/receiver": LOOP + ("config", "storage", "base/tls", "daemon/audit", "dicom/scan", "dicom/net/transport",
                               "dicom/net/association", "dicom/net/dimse", "dicom/net/services"),
    "daemon/supervisor": LOOP + ("config",),
    "daemon/pipeline/shared": STORE + ("daemon/audit", "base/http", "dicom/scan"),
    "daemon/pipeline/ingest": MODULE,
    "daemon/pipeline/assembly": MODULE,
    "daemon/pipeline/scheduler": MODULE + ("base/loop", "dicom/scan"),
    "daemon/pipeline/outbox": MODULE + ("base/loop", "base/http", "dicom/scan", "dicom/net/services", "dicom/web"),
    "daemon/pipeline/commitment": MODULE + ("base/loop", "dicom/net/dimse", "dicom/net/services"),
    "daemon/pipeline/fetch": MODULE + ("base/loop", "base/http", "dicom/net/services", "dicom/web", "daemon/receiver"),
    "daemon/pipeline/notify": MODULE + ("base/http", "dicom/scan"),
    "daemon/pipeline/workflow": MODULE + ("base/loop", "base/http", "dicom/scan", "dicom/web"),
    "daemon/pipeline/retention": MODULE,
    "daemon/pipeline/rebuild": MODULE + ("daemon/pipeline/retention",),
    "daemon/pipeline/watch": MODULE + MODULES + ("daemon/web",),
    "daemon/pipeline/control": MODULE + MODULES + ("base/loop", "daemon/pipeline/rebuild", "daemon/pipeline/watch"),
    "daemon/pipeline": MODULE + MODULES + ("base/loop", "daemon/pipeline/rebuild", "daemon/pipeline/watch",
                                           "daemon/pipeline/control", "daemon/web"),
    "daemon/worker": LOOP + ("config", "analysis"),
    "daemon": BASE + ("base/tls", "config", "daemon/audit", "daemon/supervisor", "daemon/receiver", "daemon/pipeline", "daemon/worker"),
}
ROOMS["cli"] = IMAGE + ("base/tls", "base/http", "config", "model/tensor", "model/text", "model/phantom", "model/network",
                        "dicom/scan", "dicom/net/services", "dicom/web", "dicom/write",
                        "daemon/pipeline/control", "daemon/pipeline/outbox", "daemon/pipeline/rebuild",
                        "daemon/pipeline/shared", "storage")
ROOMS["cli/engine"] = tuple(room for room in ROOMS if not room.startswith("daemon"))

# header pattern -> files that may include it
GUARDED = (
    (r"dcmtk/", r"^dicom/.*_dcmtk\.(cc|hh)$", "DCMTK belongs in dicom/**/*_dcmtk.cc"),
    (r"(torch|ATen|c10)/", r"^(model/.*_torch\.(cc|hh)|cmake/torch_pch\.cc)$", "torch belongs in model/**/*_torch.cc"),
    (r"sqlite3\.h$", r"^storage/", "SQLite belongs in storage/"),
    (r"openssl/", r"^(base/sha256\.c|base/tls/|base/http/(hmac|certificate)\.c|dicom/net/transport/tls_call\.c|model/network/|model/train/|cli/engine/|analysis/dataset/pseudonym\.c)",
     "OpenSSL belongs in base/sha256.c, base/tls, base/http, the layer over it, the model package's signature and pseudonyms"),
    (r"csv\.h$", r"^analysis/dataset/", "libcsv belongs in analysis/dataset"),
    (r"zip\.h$", r"^model/tensor/", "libzip belongs in model/tensor"),
    (r"ini\.h$", r"^(config/|model/(train|experiment|phantom)/)",
     "inih belongs in config/, the trainer's recipes and the phantoms' worlds"),
    (r"microhttpd\.h$", r"^daemon/web/", "libmicrohttpd belongs in daemon/web/"),
    (r"gnutls/", r"^daemon/web/", "GnuTLS belongs in daemon/web/"),
    (r"cairo", r"^(analysis/|model/(draw|report)/)", "Cairo belongs in analysis/, model/draw and model/report"),
    (r"gsl/", r"^model/stats/", "GSL belongs in model/stats"),
    (r"systemd/", r"^(base/loop|daemon/supervisor)/", "libsystemd belongs in base/loop and the supervisor"),
    (r"curl/", r"^(base/http|cli/engine)/", "curl belongs in base/http/ and cli/engine/"),
    (r"expat\.h$", r"^dicom/web/", "expat belongs in dicom/web/"),
)
BASE_MAY = re.compile(r"^(openssl/\w+\.h|[a-z0-9_]+\.h|(sys|arpa|netinet|net|linux)/[a-z0-9_]+\.h|[a-z_]+)$")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
OUTSIDE = ("tests/", "cmake/")


def room_of(path):
    """The room of a file: its folder's row, or the nearest row above it; None outside the rooms."""
    folder = posixpath.dirname(path)
    while folder and folder not in ROOMS:
        folder = posixpath.dirname(folder)
    return folder or None


def fault(path, quote, header):
    """Why this include is against the table; None when it is not."""
    if path.startswith(OUTSIDE):
        return None
    room = room_of(path)
    target = room_of(header) if quote == '"' else None
    if room is None:
        return "this file is in no room of the table"
    if target and target != room and target not in ROOMS[room]:
        return f"{room} may not include {target}"
    if quote == '"' and target is None:
        return "write the path from the root"
    for pattern, where, why in GUARDED:
        if re.match(pattern, header) and not re.match(where, path):
            return why
    if room == "base" and quote == "<" and not BASE_MAY.match(header):
        return "base includes libc alone"
    if path.endswith((".c", ".h")) and re.match(r"(dcmtk|torch|ATen|c10)/", header):
        return "C++ libraries stay behind C headers"
    return None


def module_of(path, headers):
    """The module of a file: its name without the library's ending; X_part belongs to X where X has a header."""
    folder, name = posixpath.split(re.sub(r"(_dcmtk|_torch)?\.\w+$", "", path))
    words = name.split("_")
    for count in range(1, len(words)):
        whole = posixpath.join(folder, "_".join(words[:count]))
        if whole in headers:
            return whole
    return posixpath.join(folder, name)


def circles(edges):
    """Each circle of a graph {node: set of nodes} once, as a list of its nodes."""
    done, found = set(), []

    def visit(node, trail):
        if node in trail:
            found.append(trail[trail.index(node):] + [node])
            return
        if node in done:
            return
        for target in sorted(edges.get(node, ())):
            visit(target, trail + [node])
        done.add(node)

    for start in sorted(edges):
        visit(start, [])
    return found


def check(root):
    faults = [f"{room}: the table has a circle: {' -> '.join(c)}" for room, c in
              ((c[0], c) for c in circles({r: set(t) for r, t in ROOMS.items()}))]
    headers, includes = {}, []
    for path in tree.sources(root, (".c", ".h", ".cc", ".hh")):
        for number, line in enumerate(tree.lines(root, path), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            why = fault(path, found.group(1), found.group(2))
            if why:
                faults.append(f"{path}:{number}: {found.group(2)}: {why}")
            if found.group(1) == '"' and not path.startswith(OUTSIDE):
                includes.append((path, found.group(2)))
                if path.endswith((".h", ".hh")):
                    headers.setdefault(path, set()).add(found.group(2))
    stems = {re.sub(r"(_dcmtk|_torch)?\.\w+$", "", path) for edge in includes for path in edge if path.endswith((".h", ".hh"))}
    modules, door = {}, {}
    for path, header in includes:
        source, target = module_of(path, stems), module_of(header, stems)
        if source != target:
            modules.setdefault(source, set()).add(target)
            door.setdefault((source, target), path)
    faults += [f"{path}: headers include each other: {' -> '.join(c)}" for c in circles(headers) for path in c[:-1]]
    faults += [f"{door[edge]}: modules call each other: {' -> '.join(c)}" for c in circles(modules)
               for edge in zip(c, c[1:])]
    return faults


def wrong_door(room):
    """A room that `room` may not include, or None."""
    return next((other for other in sorted(ROOMS) if other != room and other not in ROOMS[room]), None)


# One wrong include for each row, one for each guarded library, and a circle of headers.
SELF_TEST = {f"{room}/self_test.c": f'#include "{wrong_door(room)}/x.h"\n' for room in ROOMS if wrong_door(room)}
SELF_TEST.update({
    "dicom/read/c.c": '#include <dcmtk/dcmdata/dctk.h>\n',
    "model/train/d.cc": "#include <torch/torch.h>\n",
    "daemon/pipeline/e.c": "#include <sqlite3.h>\n",
    "storage/f.c": "#include <openssl/evp.h>\n",
    "config/f.c": "#include <csv.h>\n",
    "model/text/f.c": "#include <zip.h>\n",
    "storage/g.c": "#include <ini.h>\n",
    "daemon/receiver/h.c": "#include <microhttpd.h>\n",
    "daemon/receiver/i.c": "#include <gnutls/gnutls.h>\n",
    "daemon/worker/i.c": "#include <cairo/cairo.h>\n",
    "model/evaluation/j.c": "#include <gsl/gsl_cdf.h>\n",
    "daemon/pipeline/k.c": "#include <curl/curl.h>\n",
    "storage/k.c": "#include <expat.h>\n",
    "daemon/worker/l.c": "#include <systemd/sd-event.h>\n",
    "base/l.c": "#include <poppler/glib.h>\n",
    "dicom/net/services/m.h": '#include "scan.h"\n',
    "somewhere/n.c": '#include "base/error.h"\n',
    "storage/circle_a.h": '#include "storage/circle_b.h"\n',
    "storage/circle_b.h": '#include "storage/circle_a.h"\n',
    "config/round.c": '#include "config/about.h"\n',
    "config/about_dcmtk.cc": '#include "config/round.h"\n',
})

if __name__ == "__main__":
    sys.exit(tree.main(check, SELF_TEST))
