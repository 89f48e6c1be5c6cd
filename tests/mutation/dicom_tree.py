"""DICOM files in Explicit VR Little Endian as a tree that can be written wrongly: each element keeps its VR and value,
and may be given a length that is not its value's. Reading is strict; what is not well formed raises Malformed."""

import struct

LONG = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
SHORT = (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS",
         b"ST", b"TM", b"UI", b"UL", b"US")
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD


class Malformed(Exception):
    pass


class Item:
    def __init__(self, nodes, undefined=False):
        self.nodes, self.undefined, self.length = nodes, undefined, None

    def copy(self):
        made = Item([node.copy() for node in self.nodes], self.undefined)
        made.length = self.length
        return made


class Node:
    """`items` of a sequence, else `value`; `length` where another than the true one is written."""

    def __init__(self, tag, vr, value=b"", items=None, undefined=False):
        self.tag, self.vr, self.value, self.items, self.undefined, self.length = tag, vr, value, items, undefined, None

    def copy(self):
        items = None if self.items is None else [item.copy() for item in self.items]
        made = Node(self.tag, self.vr, self.value, items, self.undefined)
        made.length = self.length
        return made


def _tag(data, at):
    if at + 8 > len(data):
        raise Malformed(at)
    group, element = struct.unpack_from("<HH", data, at)
    return group << 16 | element


def _take(data, at, count, end):
    if at + count > end:
        raise Malformed(at)
    return data[at:at + count]


def _items(data, at, end, undefined):
    items = []
    while at < end:
        tag, length = _tag(data, at), struct.unpack_from("<I", data, at + 4)[0]
        at += 8
        if undefined and tag == SEQUENCE_END and length == 0:
            return items, at
        if tag != ITEM:
            raise Malformed(at)
        if length == UNDEFINED:
            nodes, at = _nodes(data, at, end, True)
        else:
            _take(data, at, length, end)
            nodes, at = _nodes(data, at, at + length, False)
        items.append(Item(nodes, length == UNDEFINED))
    if undefined:
        raise Malformed(at)
    return items, at


def _nodes(data, at, end, undefined):
    nodes = []
    while at < end:
        tag = _tag(data, at)
        if undefined and tag == ITEM_END:
            return nodes, at + 8
        vr = bytes(data[at + 4:at + 6])
        if vr in LONG:
            length = struct.unpack("<I", _take(data, at + 8, 4, end))[0]
            at += 12
        elif vr in SHORT:
            length = struct.unpack_from("<H", data, at + 6)[0]
            at += 8
        else:
            raise Malformed(at)
        if vr == b"SQ":
            stop = end if length == UNDEFINED else at + length
            if stop > end:
                raise Malformed(at)
            items, at = _items(data, at, stop, length == UNDEFINED)
            nodes.append(Node(tag, vr, items=items, undefined=length == UNDEFINED))
        else:
            nodes.append(Node(tag, vr, bytes(_take(data, at, length, end))))
            at += length
    if undefined:
        raise Malformed(at)
    return nodes, at


def parse(data):
    if data[128:132] != b"DICM":
        raise Malformed(128)
    return _nodes(data, 132, len(data), False)[0]


def _element(node, implicit):
    if node.items is None:
        value = node.value
    else:
        value = b"".join(_item(item, implicit) for item in node.items)
        if node.undefined:
            value += struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    length = node.length
    if length is None:
        length = UNDEFINED if node.undefined else len(value)
    tag = struct.pack("<HH", node.tag >> 16, node.tag & 0xFFFF)
    if implicit and node.tag >> 16 != 2:
        return tag + struct.pack("<I", length) + value
    if node.vr in LONG:
        return tag + node.vr + b"\0\0" + struct.pack("<I", length) + value
    return tag + node.vr + struct.pack("<H", length & 0xFFFF) + value


def _item(item, implicit):
    value = b"".join(_element(node, implicit) for node in item.nodes)
    length = item.length
    if length is None:
        length = UNDEFINED if item.undefined else len(value)
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) if item.undefined else b""
    return struct.pack("<HHI", 0xFFFE, 0xE000, length) + value + end


def write(nodes, implicit=False):
    return bytes(128) + b"DICM" + b"".join(_element(node, implicit) for node in nodes)


def walk(nodes, depth=0):
    """(list that holds it, its place there, depth) of every element, sequences before what they hold."""
    for at, node in enumerate(nodes):
        yield nodes, at, depth
        for item in node.items or ():
            yield from walk(item.nodes, depth + 1)


def find(nodes, tag):
    """Every element of one tag, in order."""
    return [holder[at] for holder, at, _ in walk(nodes) if holder[at].tag == tag]
