"""What happens to a valid object. Each mutator takes a random generator, the object's tree (it changes it in place) and
the UIDs of the study, and gives None, or bytes where the file itself is changed; NotHere where it has nothing to do.
A mutator of CONTENT gives another valid object that means something else, in several places at once."""

import struct

import dicom_tree
from dicom_tree import Item, Node

PIXELS, FRAMES, FRAME_COUNT = 0x7FE00010, 0x52009230, 0x00280008
CONTOURS = 0x30060040
IDENTITY = (0x00080016, 0x00080018, 0x00080060, 0x00080005)
IMAGE_GROUPS = (0x0020, 0x0028, 0x3006, 0x0062, 0x0070, 0x0040, 0x5200, 0x7FE0)
TERMS = ["CLOSED_PLANAR", "POINT", "OPEN_PLANAR", "OPEN_NONPLANAR", "CLOSEDPLANAR_XOR", "POLYLINE", "POLYGON",
         "MULTIPOINT", "CIRCLE", "ELLIPSE", "ELLIPSOID", "INTERPOLATED", "PIXEL", "DISPLAY", "MATRIX", "BINARY",
         "FRACTIONAL", "LABELMAP", "PROBABILITY", "OCCUPANCY", "YES", "NO", "MONOCHROME1", "MONOCHROME2", "RGB", "ORGAN",
         "GTV", "CONTAINS", "INFERRED FROM", "SELECTED FROM", "CONTAINER", "IMAGE", "SCOORD", "SCOORD3D", "CODE", "TEXT",
         "NUM", "CT", "SR", "SEG", "ORIGINAL\\PRIMARY\\AXIAL", "DERIVED\\SECONDARY", "LOCALIZER", "HU", "US", "MR"]
CHARSETS = [b"", b"ISO_IR 100", b"ISO_IR 192", b"GB18030 ", b"\\ISO 2022 IR 87", b"ISO_IR 999", b"ISO 2022 IR 149",
            b"\xff\xfe"]
SYNTAXES = [b"1.2.840.10008.1.2\0", b"1.2.840.10008.1.2.2\0", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.5\0",
            b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.70", b"1.2.840.10008.1.2.4.90", b"1.2.3\0", b""]
FORMATS = {b"US": ("<H", 2), b"SS": ("<h", 2), b"UL": ("<I", 4), b"SL": ("<i", 4), b"FL": ("<f", 4), b"FD": ("<d", 8)}


class NotHere(Exception):
    pass


def pick(rng, nodes, wanted=lambda node, depth: True):
    """An element that may matter four times of five, any one else; the list that holds it, and its place there."""
    found = [entry for entry in dicom_tree.walk(nodes) if wanted(entry[0][entry[1]], entry[2])]
    matter = [(holder, at, depth) for holder, at, depth in found
              if depth > 0 or holder[at].tag >> 16 in IMAGE_GROUPS or holder[at].tag in IDENTITY]
    if not found:
        raise NotHere
    holder, at, _ = rng.choice(matter if matter and rng.random() < 0.8 else found)
    return holder, at


def even(value, filler=b" "):
    return value + filler if len(value) % 2 else value


# The bytes of the file.


def flip_byte(rng, nodes, uids):
    data = bytearray(dicom_tree.write(nodes))
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        data[rng.randrange(128, len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def header_byte(rng, nodes, uids):
    data = bytearray(dicom_tree.write(nodes))
    end = data.rfind(struct.pack("<HH", 0x7FE0, 0x0010))
    data[rng.randrange(128, end + 12 if end > 0 else len(data))] = rng.randrange(256)
    return bytes(data)


def truncate(rng, nodes, uids):
    data = dicom_tree.write(nodes)
    return data[:rng.randrange(len(data)) if rng.random() < 0.5 else len(data) - rng.randrange(1, 400)]


def cut_out(rng, nodes, uids):
    data = dicom_tree.write(nodes)
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 2, 4, 8, 64, 512)):]


def put_in(rng, nodes, uids):
    data = dicom_tree.write(nodes)
    start = rng.randrange(len(data))
    count = rng.choice((1, 2, 4, 8, 64, 512))
    filler = bytes(count) if rng.random() < 0.3 else rng.randbytes(count)
    return data[:start] + (data[start:start + count] if rng.random() < 0.3 else filler) + data[start:]


def zero_run(rng, nodes, uids):
    data = bytearray(dicom_tree.write(nodes))
    start = rng.randrange(128, len(data))
    count = min(rng.choice((2, 8, 64, 512, 4096)), len(data) - start)
    data[start:start + count] = bytes(count)
    return bytes(data)


def trail(rng, nodes, uids):
    count = rng.choice((1, 2, 128, 4096))
    return dicom_tree.write(nodes) + (bytes(count) if rng.random() < 0.5 else rng.randbytes(count))


def without_preamble(rng, nodes, uids):
    return dicom_tree.write(nodes)[rng.choice((128, 132)):]


def implicit(rng, nodes, uids):
    if rng.random() < 0.8:
        for node in dicom_tree.find(nodes, 0x00020010):
            node.value = b"1.2.840.10008.1.2\0"
    return dicom_tree.write(nodes, implicit=True)


# Elements.


def remove(rng, nodes, uids):
    holder, at = pick(rng, nodes)
    del holder[at]


def duplicate(rng, nodes, uids):
    holder, at = pick(rng, nodes)
    holder.insert(rng.choice((at, len(holder))), holder[at].copy())


def reorder(rng, nodes, uids):
    holder, at = pick(rng, nodes)
    other = rng.randrange(len(holder))
    holder[at], holder[other] = holder[other], holder[at]


def move_up(rng, nodes, uids):
    """An element out of its sequence, into the data set, or the other way round."""
    holder, at = pick(rng, nodes)
    node = holder.pop(at)
    target, _ = pick(rng, nodes)
    target.append(node)
    target.sort(key=lambda each: each.tag)


def change_tag(rng, nodes, uids):
    holder, at = pick(rng, nodes)
    holder[at].tag ^= 1 << rng.randrange(32)


def change_vr(rng, nodes, uids):
    holder, at = pick(rng, nodes, lambda node, depth: node.items is None)
    holder[at].vr = rng.choice(dicom_tree.SHORT + dicom_tree.LONG + (b"??", b"\0\0", b"ZZ"))


def change_length(rng, nodes, uids):
    holder, at = pick(rng, nodes)
    node = holder[at]
    true = len(node.value) if node.items is None else 100
    node.length = rng.choice((0, true + 1, true + 2, max(0, true - 1), max(0, true - 2), true * 2, 0xFFFF, 0x7FFFFFFF,
                              0xFFFFFFFE, 0xFFFFFFFF, rng.randrange(1 << 32)))


def change_item_length(rng, nodes, uids):
    holder, at = pick(rng, nodes, lambda node, depth: bool(node.items))
    rng.choice(holder[at].items).length = rng.choice((0, 2, 8, 0xFFFFFFFE, 0xFFFFFFFF, rng.randrange(1 << 16)))


def empty(rng, nodes, uids):
    holder, at = pick(rng, nodes)
    if holder[at].items is not None:
        holder[at].items = []
    holder[at].value = b""


def text_number(rng, text, others):
    """Of a DS or IS value as text."""
    number = float(text) if text.strip() else 0.0
    return rng.choice((f"{-number:g}", f"{number + 1:g}", f"{number * 10:g}", f"{number / 10:g}", "0", "nan", "inf", "-inf",
                       "1e400", "1e30", "-1", "99999999999", "", " ", text.replace(".", ","), text + "x", "+" + text.strip(),
                       text.strip() + "E0", text.strip()[:-1], "1D3", "0x10", rng.choice(others)))


def edit_text(rng, node):
    parts = node.value.decode("latin-1").rstrip("\0 ").split("\\")
    change = rng.random()
    at = rng.randrange(len(parts))
    if change < 0.6:
        try:
            parts[at] = text_number(rng, parts[at], parts)
        except ValueError:
            parts[at] = "nan"
    elif change < 0.7:
        other = rng.randrange(len(parts))
        parts[at], parts[other] = parts[other], parts[at]
    elif change < 0.8:
        parts.insert(at, parts[at])
    elif change < 0.9:
        del parts[at]
    else:
        parts = [text_number(rng, part, parts) if rng.random() < 0.3 else part for part in parts[:200]]
    node.value = even("\\".join(parts).encode("latin-1"))


def edit_number(rng, nodes, uids):
    """Of a value that is text: DS, IS."""
    holder, at = pick(rng, nodes, lambda node, depth: node.vr in (b"DS", b"IS"))
    edit_text(rng, holder[at])


def edit_binary(rng, nodes, uids):
    holder, at = pick(rng, nodes, lambda node, depth: node.vr in FORMATS)
    node = holder[at]
    code, size = FORMATS[node.vr]
    values = [struct.unpack_from(code, node.value, i)[0] for i in range(0, len(node.value) - size + 1, size)] or [0]
    i = rng.randrange(len(values))
    if node.vr in (b"FL", b"FD"):
        choices = (-values[i], values[i] + 1, 0.0, float("nan"), float("inf"), 1e30, values[i] * 1.5, 1e-30)
    else:
        choices = (0, 1, values[i] + 1, max(0, values[i] - 1), values[i] * 2, 1000, 32767)
    change = rng.random()
    if change < 0.75:
        values[i] = rng.choice(choices)
    elif change < 0.85:
        j = rng.randrange(len(values))
        values[i], values[j] = values[j], values[i]
    elif change < 0.95:
        values.insert(i, values[i])
    else:
        del values[i]
    limit = (1 << 8 * size) - 1
    if node.vr in (b"US", b"UL"):
        values = [value & limit for value in values]
    elif node.vr in (b"SS", b"SL"):
        values = [max(-limit // 2, min(limit // 2, value)) for value in values]
    node.value = b"".join(struct.pack(code, value) for value in values)


def edit_uid(rng, nodes, uids):
    holder, at = pick(rng, nodes, lambda node, depth: node.vr == b"UI")
    uid = holder[at].value.rstrip(b"\0 ")
    new = rng.choice((rng.choice(uids), rng.choice(uids), b"1.2.3.4", uid[:-1], uid + b".0", b"0" + uid, uid + b" ", b"",
                      b"2.25." + str(rng.randrange(1 << 100)).encode(), uid + b"\\" + uid, b"not.a.uid", uid * 3))
    holder[at].value = even(new, b"\0")


def edit_every_uid(rng, nodes, uids):
    """One UID becomes another wherever it stands."""
    holder, at = pick(rng, nodes, lambda node, depth: node.vr == b"UI")
    old, new = holder[at].value, even(rng.choice(uids), b"\0")
    for inner, place, _ in dicom_tree.walk(nodes):
        if inner[place].value == old:
            inner[place].value = new


def edit_term(rng, nodes, uids):
    holder, at = pick(rng, nodes, lambda node, depth: node.vr == b"CS")
    value = holder[at].value
    holder[at].value = even(rng.choice((rng.choice(TERMS).encode(), rng.choice(TERMS).encode(), value.lower(), b"",
                                        value.strip() + b"\\X", b" " + value, value[:-2], b"\xe4\xf6\xfc")))


def edit_string(rng, nodes, uids):
    holder, at = pick(rng, nodes, lambda node, depth: node.vr in (b"SH", b"LO", b"ST", b"LT", b"UT", b"UC", b"PN"))
    value = holder[at].value
    holder[at].value = even(rng.choice((b"", value.lower(), b"\xc3\x28\xff", b"Liver", b"x" * 4000, b"\x1b$B", value + b"2",
                                        value[:-2], b"113076", b"111030", b"\0\0")))


def edit_time(rng, nodes, uids):
    holder, at = pick(rng, nodes, lambda node, depth: node.vr in (b"DA", b"TM", b"DT"))
    holder[at].value = even(rng.choice((b"", b"99999999", b"2026.01.01", b"12:00:00", b"240000", b"-1", b"nan")))


def charset(rng, nodes, uids):
    nodes[:] = [node for node in nodes if node.tag != 0x00080005] + [Node(0x00080005, b"CS", even(rng.choice(CHARSETS)))]
    nodes.sort(key=lambda node: node.tag)
    for node in nodes:
        if node.vr in (b"LO", b"SH", b"PN") and rng.random() < 0.3:
            node.value = even(rng.randbytes(rng.randrange(1, 20)))


def syntax(rng, nodes, uids):
    for node in dicom_tree.find(nodes, 0x00020010):
        node.value = rng.choice(SYNTAXES)


def private(rng, nodes, uids):
    holder, _ = pick(rng, nodes)
    group = rng.choice((0x0009, 0x0019, 0x0029, 0x3007, 0x7FE1))
    holder.append(Node(group << 16 | 0x0010, b"LO", b"MAKER "))
    holder.append(Node(group << 16 | 0x1001, rng.choice((b"OB", b"UN", b"??", b"SQ", b"UT", b"OW")),
                       rng.choice((b"", b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x00\xe0\x10\0\0\0",
                                   rng.randbytes(50), b"\xfe\xff\xdd\xe0\0\0\0\0"))))
    holder.sort(key=lambda node: node.tag)


def sequence_items(rng, nodes, uids):
    holder, at = pick(rng, nodes, lambda node, depth: bool(node.items))
    items = holder[at].items
    i = rng.randrange(len(items))
    change = rng.randrange(6)
    if change == 0:
        del items[i]
    elif change == 1:
        items.insert(i, items[i].copy())
    elif change == 2:
        items.reverse()
    elif change == 3:
        items[i].nodes = []
    elif change == 4:
        items[i:i + 1] = [items[i].copy() for _ in range(rng.choice((3, 40, 300)))]
    else:
        items.insert(i, Item([]))


def delimiters(rng, nodes, uids):
    """Undefined lengths everywhere, some of them without their end, or defined ones."""
    for holder, at, _ in dicom_tree.walk(nodes):
        if holder[at].items is not None:
            holder[at].undefined = rng.random() < 0.5
            for item in holder[at].items:
                item.undefined = rng.random() < 0.5
    if rng.random() < 0.5:
        data = dicom_tree.write(nodes)
        end = rng.choice((b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"))
        at = data.find(end, rng.randrange(len(data)))
        return None if at < 0 else data[:at] + rng.choice((b"", bytes(8), end + end)) + data[at + 8:]
    return None


def nest(rng, nodes, uids):
    holder, at = pick(rng, nodes, lambda node, depth: bool(node.items))
    node = holder[at]
    for _ in range(rng.choice((1, 2, 20, 60, 1000))):
        node = Node(node.tag, b"SQ", items=[Item([node], True)], undefined=True)
    holder[at] = Node(node.tag, b"SQ", items=node.items, undefined=True)
    data = _write_deep(nodes)
    if data is None:
        raise NotHere
    return data


def _write_deep(nodes):
    try:
        return dicom_tree.write(nodes)
    except RecursionError:
        return None


# Pixels and frames.


def pixel_node(nodes):
    found = [node for node in nodes if node.tag == PIXELS and node.items is None and node.value]
    if not found:
        raise NotHere
    return found[0]


def pixel_bits(rng, nodes, uids):
    node = pixel_node(nodes)
    data = bytearray(node.value)
    for _ in range(rng.choice((1, 10, 1000))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    node.value = bytes(data)


def pixel_length(rng, nodes, uids):
    node = pixel_node(nodes)
    count = len(node.value)
    node.value = (node.value * 3)[:rng.choice((0, 1, 2, count // 2, count - 1, count - 2, count - 64, count + 1, count + 2,
                                              count + 64, count + count // 8, count * 2))]


def image_value(rng, nodes, uids):
    """Of what says how pixels lie in memory."""
    tags = (0x00280002, 0x00280004, 0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102,
            0x00280103, 0x00280030, 0x0062000E, 0x00620001, 0x00620010)
    found = [node for tag in tags for node in dicom_tree.find(nodes, tag)]
    if not found:
        raise NotHere
    node = rng.choice(found)
    if node.vr == b"US":
        value = struct.unpack("<H", node.value)[0]
        node.value = struct.pack("<H", rng.choice((0, 1, 2, 3, 8, 12, 15, 16, 32, 64, 255, value ^ 1, value * 2 & 0xFFFF,
                                                   value // 2, value + 1 & 0xFFFF, 0xFFFF)))
    elif node.vr in (b"IS", b"DS"):
        edit_text(rng, node)
    else:
        node.value = even(rng.choice(TERMS).encode())


def frame_parts(nodes):
    """Per-frame items, their pixels and the element that counts them, where all agree and frames are whole bytes."""
    items = [node for node in nodes if node.tag == FRAMES and node.items]
    counts = [node for node in nodes if node.tag == FRAME_COUNT]
    pixels = pixel_node(nodes)
    if not items or not counts or len(pixels.value) % len(items[0].items) != 0:
        raise NotHere
    size = len(pixels.value) // len(items[0].items)
    return items[0], counts[0], pixels, [pixels.value[i:i + size] for i in range(0, len(pixels.value), size)]


def frame_loose(rng, nodes, uids):
    """Frames dropped, doubled or exchanged in one of the three places alone."""
    items, counts, pixels, frames = frame_parts(nodes)
    at, other = rng.randrange(len(frames)), rng.randrange(len(frames))
    change = rng.randrange(6)
    if change == 0:
        del items.items[at]
    elif change == 1:
        items.items.insert(at, items.items[at].copy())
    elif change == 2:
        del frames[at]
    elif change == 3:
        frames.insert(at, frames[at])
    elif change == 4:
        counts.value = even(str(rng.choice((0, 1, len(frames) - 1, len(frames) + 1, 100000, -1))).encode())
    else:
        items.items[at].nodes = items.items[other].copy().nodes
    pixels.value = b"".join(frames)


def frame_order(rng, nodes, uids):
    """Frames in another order, with all that belongs to them: the same object."""
    items, _, pixels, frames = frame_parts(nodes)
    order = list(range(len(frames)))
    rng.shuffle(order)
    items.items = [items.items[i] for i in order]
    pixels.value = b"".join(frames[i] for i in order)


def frame_drop(rng, nodes, uids):
    """A frame less, everywhere."""
    items, counts, pixels, frames = frame_parts(nodes)
    at = rng.randrange(len(frames))
    del items.items[at]
    del frames[at]
    counts.value = even(str(len(frames)).encode())
    pixels.value = even(b"".join(frames), b"\0")


def frame_group(rng, nodes, uids):
    """A functional group less, in one frame, in all, or shared."""
    places = [item.nodes for node in nodes if node.tag in (FRAMES, 0x52009229) for item in node.items or () if item.nodes]
    if not places:
        raise NotHere
    holder = rng.choice(places)
    tag = rng.choice(holder).tag
    for each in places if rng.random() < 0.3 else [holder]:
        each[:] = [node for node in each if node.tag != tag]


def contour_z(rng, nodes, uids):
    """A contour moved off the image that it names."""
    found = [node for node in dicom_tree.find(nodes, 0x30060050) if node.value]
    if not found:
        raise NotHere
    parts = (node := rng.choice(found)).value.decode("latin-1").strip().split("\\")
    shift = rng.choice((-50, -10, -5, -2.6, 2.6, 5, 10, 1000))
    try:
        parts[2::3] = [f"{float(part) + shift:g}" for part in parts[2::3]]
    except ValueError as error:
        raise NotHere from error
    node.value = even("\\".join(parts).encode("latin-1"))


def contour_axes(rng, nodes, uids):
    """The coordinates of all contours in another order of axes, or mirrored."""
    order = rng.choice(((1, 0, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0)))
    found = [node for node in dicom_tree.find(nodes, 0x30060050) if node.value]
    if not found:
        raise NotHere
    for node in found:
        parts = node.value.decode("latin-1").strip().split("\\")
        if len(parts) % 3 == 0:
            node.value = even("\\".join(parts[i + axis] for i in range(0, len(parts), 3) for axis in order).encode("latin-1"))


GENERAL = [flip_byte, flip_byte, header_byte, truncate, cut_out, put_in, zero_run, trail, without_preamble, implicit, remove,
           remove, duplicate, reorder, move_up, change_tag, change_vr, change_length, change_item_length, empty, edit_number,
           edit_number, edit_binary, edit_uid, edit_uid, edit_every_uid, edit_term, edit_string, edit_time, charset, syntax,
           private, sequence_items, sequence_items, delimiters, nest]
PIXEL = [pixel_bits, pixel_length, image_value, image_value, frame_loose, frame_order, frame_drop, frame_group]
CONTOUR = [contour_z, contour_axes]
CONTENT = {"frame_drop"}
CONTENT_OR_SAME = {"pixel_bits", "frame_order"}  # other pixels of frames that are otherwise ordered
