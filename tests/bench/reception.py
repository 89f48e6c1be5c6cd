#!/usr/bin/env python3
"""Reception: the node against DCMTK's storescp and Orthanc, the same sender, the same objects, one machine, one run.

Objects: copies of a real 512 x 512 CT slice (526 kB) with UIDs of their own. Sender: DCMTK's dcmsend, one process an
association, with TCP_NODELAY: Nagle's algorithm at the sender would hold every receiver to 25 objects a second. The
receivers run as shipped. The sink reads and says yes without storing: it shows how fast the sender itself can be. The order of the
receivers is turned in each round, so that a drifting load meets all alike.

    single      one association, --single objects
    parallel    --associations associations at once, --each objects each
    echo        seconds of one C-ECHO beside --half-open connections that never send a byte, at most 20

    node plain, node TLS    the node with and without TLS; their sender is storescu, since dcmsend speaks none

Only the node and Orthanc (SyncStorageArea) promise that what they acknowledged is on the disk.

usage: reception.py [--runs 3] [--single 300] [--associations 8] [--each 60] [--half-open 50] [--folder DIR] [--json FILE]
"""

import argparse
import json
import os
import pathlib
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
import certificates  # noqa: E402
import harness  # noqa: E402

SAMPLE = harness.ROOT / "tests" / "data" / "ct_liver_3slices" / "01.dcm"
ROOT_UID = "1.2.826.0.1.3680043.10.1451"
ECHO_LIMIT_SECONDS = 20


def find_value(data, tag):
    """(offset, length) of the value of a UI element of implicit VR, or explicit VR in the meta group."""
    explicit = tag[0] == 2
    key = struct.pack("<HH", *tag) + (b"UI" if explicit else b"")
    at = data.index(key)
    if explicit:
        return at + 8, struct.unpack_from("<H", data, at + 6)[0]
    return at + 8, struct.unpack_from("<I", data, at + 4)[0]


def make_objects(folder, associations, each):
    """One folder an association, `each` objects in it; UIDs of the sample's lengths, so that nothing else changes."""
    original = SAMPLE.read_bytes()
    places = [find_value(original, tag) for tag in ((2, 3), (8, 0x18), (0x20, 0x0D), (0x20, 0x0E))]
    serial = int(time.time() * 1000) % 10 ** 9
    folders = []
    for group in range(associations):
        target = folder / f"{group:02d}"
        target.mkdir(parents=True)
        folders.append(target)
        for number in range(each):
            data = bytearray(original)
            names = (f"1.{group}.{number}", f"1.{group}.{number}", "2", f"3.{group}")
            for (at, length), name in zip(places, names):
                uid = f"{ROOT_UID}.{serial}.{name}".encode()
                assert len(uid) <= length, (uid, length)
                data[at:at + length] = uid.ljust(length, b"\0")
            (target / f"{number:04d}.dcm").write_bytes(data)
    return folders


class Sink:
    """Says yes to everything, stores nothing: the limit of the sender."""

    promise = "nothing"
    name = "sink"

    def __init__(self, _folder):
        self.port = harness.free_port()
        self.called = "SINK"
        program = ("import sys; sys.path.insert(0, sys.argv[1]); import reception; reception.serve_sink(int(sys.argv[2]))")
        self.process = subprocess.Popen([sys.executable, "-c", program, str(pathlib.Path(__file__).parent), str(self.port)])
        harness.wait_until(lambda: harness.port_is_open(self.port), 20, "the sink's port")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def count(self):
        return None


def read_exactly(stream, count):
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data


def sink_accept(request):
    """A-ASSOCIATE-AC that accepts each context with its first transfer syntax."""
    items = struct.pack(">BxH", 0x10, 21) + b"1.2.840.10008.3.1.1.1"
    at = 68
    while at + 4 <= len(request):
        kind, length = struct.unpack_from(">BxH", request, at)
        if kind == 0x20:
            inner = at + 8
            while request[inner] != 0x40:
                inner += 4 + struct.unpack_from(">H", request, inner + 2)[0]
            size = struct.unpack_from(">H", request, inner + 2)[0]
            syntax = request[inner:inner + 4 + size]
            items += struct.pack(">BxHBxxx", 0x21, 4 + len(syntax), request[at + 4]) + syntax
        at += 4 + length
    user = struct.pack(">BxHI", 0x51, 4, 131072) + struct.pack(">BxH", 0x52, 9) + b"1.2.3.4.5"
    body = request[:68] + items + struct.pack(">BxH", 0x50, len(user)) + user
    return struct.pack(">BxI", 2, len(body)) + body


def sink_answer(context, command):
    """C-STORE-RSP or C-ECHO-RSP with success."""
    fields = {}
    at = 0
    while at + 8 <= len(command):
        _, element, length = struct.unpack_from("<HHI", command, at)
        fields[element] = command[at + 8:at + 8 + length]
        at += 8 + length
    fields[0x0120] = fields.pop(0x0110)
    fields[0x0100] = struct.pack("<H", struct.unpack("<H", fields[0x0100])[0] | 0x8000)
    fields[0x0800] = struct.pack("<H", 0x0101)
    fields[0x0900] = struct.pack("<H", 0)
    rest = b"".join(struct.pack("<HHI", 0, element, len(value)) + value for element, value in sorted(fields.items())
                    if element in (0x0002, 0x0100, 0x0120, 0x0800, 0x0900, 0x1000))
    group = struct.pack("<HHII", 0, 0, 4, len(rest)) + rest
    return struct.pack(">BxIIBB", 4, len(group) + 6, len(group) + 2, context, 3) + group


def serve_sink_connection(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = connection.makefile("rb", buffering=1 << 20)
    command = b""
    pending = b""
    try:
        while True:
            kind, length = struct.unpack(">BxI", read_exactly(stream, 6))
            body = read_exactly(stream, length)
            if kind == 1:
                connection.sendall(sink_accept(body))
            elif kind == 4:
                at = 0
                while at < length:
                    size, context, flags = struct.unpack_from(">IBB", body, at)
                    if flags & 1:
                        command += body[at + 6:at + 4 + size]
                        if flags & 2:
                            pending, command = command, b""
                    elif flags & 2:
                        connection.sendall(sink_answer(context, pending))
                    at += 4 + size
            elif kind == 5:
                connection.sendall(struct.pack(">BxII", 6, 4, 0))
            else:
                return
    except (EOFError, OSError):
        return
    finally:
        connection.close()


def serve_sink(port):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        threading.Thread(target=serve_sink_connection, args=(listener.accept()[0],), daemon=True).start()


class NodeReceiver:
    name = "node"
    promise = "fsync"

    def __init__(self, folder):
        self.port = harness.free_port()
        self.called = harness.NODE_AET
        self.node = harness.Node(folder, self.port, overrides={
            "node": {"log_level": "info"}, "reception": {"max_associations": 256},
            'peer "modality"': {"max_associations": 256}})
        self.node.start("--role", "receiver")
        self.spool = folder / "state" / "spool" / "new"

    def stop(self):
        self.node.remove()

    def count(self):
        return sum(1 for _ in self.spool.glob("*-*"))


class NodePlain(NodeReceiver):
    """The measure of NodeTls: the same sender without TLS."""

    name = "node plain"

    def __init__(self, folder):
        self.authority = certificates.Authority(folder / "ca", "authority")
        self.pair = self.authority.sign("node")
        self.port = harness.free_port()
        self.called = harness.NODE_AET
        self.node = harness.Node(folder, self.port, overrides={
            "node": {"log_level": "info", "tls_port": self.port},
            "reception": {"max_associations": 256},
            "tls": {"certificate": self.pair.certificate, "private_key": self.pair.key,
                    "trusted_certificates": self.authority.certificate},
            'peer "modality"': {"max_associations": 256, "tls": "allowed"}})
        self.node.start("--role", "receiver")
        self.spool = folder / "state" / "spool" / "new"

    def tls_words(self):
        return []

    def command(self, folder):
        return ["storescu", "--aetitle", harness.MODALITY_AET, "--call", self.called, *self.tls_words(), "--scan-directories",
                "--no-halt", "127.0.0.1", str(self.port), str(folder)]


class NodeTls(NodePlain):
    name = "node TLS"

    def tls_words(self):
        return ["+tls", str(self.pair.key), str(self.pair.certificate), "+cf", str(self.authority.certificate)]


class StoreScp:
    name = "storescp"
    promise = "nothing"
    options = ()

    def __init__(self, folder):
        self.folder = folder / "received"
        self.folder.mkdir(parents=True)
        self.port = harness.free_port()
        self.called = "STORESCP"
        self.process = subprocess.Popen(["storescp", *self.options, "--output-directory", str(self.folder), str(self.port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        harness.wait_until(lambda: harness.port_is_open(self.port), 20, "storescp's port")

    def stop(self):
        self.process.kill()
        self.process.wait(10)

    def count(self):
        return sum(1 for _ in self.folder.iterdir())


class StoreScpBits(StoreScp):
    name = "storescp +B"
    options = ("+B",)


class OrthancReceiver:
    name = "Orthanc"
    promise = "fsync"

    def __init__(self, folder):
        self.pacs = harness.Orthanc(folder, harness.free_port(), fsync=True).start()
        self.port = self.pacs.dicom_port
        self.called = harness.PACS_AET

    def stop(self):
        self.pacs.stop()

    def count(self):
        return self.pacs.get("/statistics")["CountInstances"]


def send_command(folder, receiver):
    if isinstance(receiver, NodePlain):
        return receiver.command(folder)
    return ["dcmsend", "--aetitle", harness.MODALITY_AET, "--call", receiver.called, "--decompress-never", "--no-halt",
            "--no-uid-checks", "--scan-directories", "127.0.0.1", str(receiver.port), str(folder)]


def send_all(folders, receiver):
    """Seconds until every sender has ended, each with all its objects acknowledged."""
    start = time.monotonic()
    senders = [subprocess.Popen(send_command(folder, receiver), env={**os.environ, "TCP_NODELAY": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
               for folder in folders]
    errors = [sender.communicate(timeout=600)[1] for sender in senders]
    seconds = time.monotonic() - start
    assert all(sender.returncode == 0 for sender in senders), (receiver.name, errors)
    return seconds


def measure_echo(receiver, half_open):
    """Seconds of one C-ECHO beside connections without a request; the limit when there is no answer."""
    words = receiver.tls_words() if isinstance(receiver, NodePlain) else []
    idle = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(half_open)]
    start = time.monotonic()
    try:
        subprocess.run(["echoscu", "--aetitle", harness.MODALITY_AET, "--call", receiver.called, *words,
                        "127.0.0.1", str(receiver.port)], timeout=ECHO_LIMIT_SECONDS, check=True, capture_output=True)
        return time.monotonic() - start
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return float(ECHO_LIMIT_SECONDS)
    finally:
        for connection in idle:
            connection.close()


def measure(kind, folder, work, echo_connections):
    """{measure: value} of one receiver in a folder of its own, which is removed."""
    receiver = kind(work)
    try:
        row = {}
        for name, folders in folder.items():
            before = receiver.count()
            row[name] = send_all(folders, receiver)
            sent = sum(1 for f in folders for _ in f.iterdir())
            if before is not None:
                assert receiver.count() - before == sent, (receiver.name, name, before, receiver.count(), sent)
        if echo_connections > 0 and kind is not Sink:
            row["echo"] = measure_echo(receiver, echo_connections)
        return row
    finally:
        receiver.stop()
        shutil.rmtree(work, ignore_errors=True)


def print_table(rows, counts):
    print(f"{'receiver':12} {'promise':8} {'single s':>9} {'obj/s':>7} {'x storescp':>10} {'parallel s':>10} {'obj/s':>7} "
          f"{'x storescp':>10} {'scaling':>8} {'echo s':>7}")
    base = rows["storescp"]
    for name, row in rows.items():
        single = counts["single"] / row["single"]
        parallel = counts["parallel"] / row["parallel"]
        echo = row.get("echo")
        limit = ">" if echo is not None and echo >= ECHO_LIMIT_SECONDS else ""
        echo_text = "-" if echo is None else f"{limit}{echo:.2f}"
        print(f"{name:12} {row['promise']:8} {row['single']:9.2f} {single:7.1f} {base['single'] / row['single']:10.2f} "
              f"{row['parallel']:10.2f} {parallel:7.1f} {base['parallel'] / row['parallel']:10.2f} {parallel / single:8.2f} "
              f"{echo_text:>7}")


def main():
    options = argparse.ArgumentParser()
    for name, value in (("runs", 3), ("single", 300), ("associations", 8), ("each", 60), ("half-open", 50)):
        options.add_argument(f"--{name}", type=int, default=value)
    options.add_argument("--folder", help="where all receivers store; below the system's temporary folder by default")
    options.add_argument("--only", nargs="*", help="names of receivers")
    options.add_argument("--json", help="write the medians and all runs to this file")
    chosen = options.parse_args()
    kinds = [k for k in (NodeReceiver, NodePlain, NodeTls, StoreScp, StoreScpBits, OrthancReceiver, Sink)
             if not chosen.only or k.name in chosen.only]
    runs = {kind.name: [] for kind in kinds}
    with tempfile.TemporaryDirectory(prefix="lvn-reception-", dir=chosen.folder) as name:
        work = pathlib.Path(name)
        folders = {"single": make_objects(work / "single", 1, chosen.single),
                   "parallel": make_objects(work / "parallel", chosen.associations, chosen.each)}
        counts = {"single": chosen.single, "parallel": chosen.associations * chosen.each}
        for turn in range(chosen.runs):
            for kind in kinds[turn % len(kinds):] + kinds[:turn % len(kinds)]:
                os.sync()  # the receiver before leaves no work to this one
                # The echo beside half-open peers is asked once: it stops some receivers for good.
                row = measure(kind, folders, work / f"r{turn}", chosen.half_open if turn == 0 else 0)
                runs[kind.name].append(row)
                print(f"run {turn + 1} {kind.name}: " + ", ".join(f"{k} {v:.2f} s" for k, v in row.items()) +
                      f", load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    rows = {}
    for kind in kinds:
        measures = {key for row in runs[kind.name] for key in row}
        rows[kind.name] = {key: statistics.median(row[key] for row in runs[kind.name] if key in row) for key in measures}
        rows[kind.name]["promise"] = kind.promise
    if "node TLS" in rows and "node plain" in rows:
        share = statistics.median(plain["single"] / tls["single"] for plain, tls in
                                  zip(runs["node plain"], runs["node TLS"]))
        print(f"over TLS, one association: {share:.2f} of the rate without it (median of the runs)")
    if "storescp" in rows:
        print_table(rows, counts)
    print(f"medians of {chosen.runs} runs, {counts['single']} objects of {SAMPLE.stat().st_size} bytes on one association, "
          f"{chosen.associations} x {chosen.each} at once, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if chosen.json:
        pathlib.Path(chosen.json).write_text(json.dumps({"medians": rows, "runs": runs, "load": os.getloadavg()}, indent=1))


if __name__ == "__main__":
    main()
