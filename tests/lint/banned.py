#!/usr/bin/env python3
"""Fails on functions that are banned, on files that are too long and on functions that are far too long; warns of
functions above 60 lines and files above 500. A deliberate exception carries `/* allow: reason */` on its line.
Usage: banned.py ROOT"""
import re
import sys

import tree

BANNED = {
    r"(strcpy|strcat|sprintf|vsprintf|strtok|gets|alloca)\s*\(": "is unbounded; use lvn_copy, snprintf, strcspn",
    r"(atoi|atol|atof|strtol|sscanf)\s*\(": "hides errors; use strtoull or strtod and look at errno and the end",
    r"(system|popen)\s*\(": "runs a shell",
    r"(exit|_exit|abort)\s*\(": "return the error to main",
    r"(gmtime|localtime)\s*\(": "is not thread-safe; use base/clock.h",
    r"(usleep|rand|srand)\s*\(": "use base/clock.h, lvn_file_random or the phantom's generator",
    r"off_t\b": "changes its size; use int64_t or uint64_t",
}
MEMORY = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|free|reallocarray)\s*\(")
SQLITE = re.compile(r"\bsqlite3_\w+")
OPEN = re.compile(r"(?<![\w.>:])(open|openat)\s*\(")
FOPEN = re.compile(r"(?<![\w.>:])fopen\s*\(")
ALLOWED = re.compile(r"(/\*|//) allow: [^*\s]")
CODE = ("base/", "config/", "storage/", "dicom/", "model/", "analysis/", "daemon/", "cli/", "tests/")
FILE_LINES, FUNCTION_LINES = 500, 60  # reported, for a reader's sake; split for sense, not for length


def strip(source):
    """Comments and string contents to blanks, so that only code is searched; line numbers stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), source)


def line_faults(path, code, original):
    in_base = path.startswith("base/")
    in_tests = path.startswith("tests/")
    for word, why in BANNED.items():
        found = re.search(r"(?<![\w.>])(std::)?" + word, code)
        if found and in_tests and found.group(0).startswith("_exit"):
            continue  # a forked child of a test must not run the test's own cleanup
        if found and not ALLOWED.search(original):
            yield f"{found.group(0).strip()}: {why}"
    if ALLOWED.search(original):
        return
    if MEMORY.search(code) and not in_base and not in_tests:
        yield "allocation belongs in base; use lvn_alloc, lvn_grow, lvn_free"
    if SQLITE.search(code) and not path.startswith(("storage/", "tests/unit/storage/")):
        yield "SQLite belongs in storage/"


def open_faults(path, stripped, original):
    """open() without O_CLOEXEC, fopen() without "e", looked at over the call's whole text."""
    for pattern, flag in ((OPEN, "O_CLOEXEC"), (FOPEN, "e")):
        for found in pattern.finditer(stripped):
            end = stripped.find(";", found.end())
            call = original[found.start():end]
            line = original.count("\n", 0, found.start())
            whole_line = original.splitlines()[line]
            is_kept = flag in call if flag != "e" else re.search(r'"[a-z+]*e[a-z+]*"', call)
            if not is_kept and not ALLOWED.search(whole_line):
                yield f"{path}:{line + 1}: a descriptor that children inherit; add {flag}"


CALLED = re.compile(r"struct lvn_(scu_peer|association_target) \w+ = \{")


def plain_calls(path, stripped):
    """A peer that is called without its say on TLS, which would silently be none."""
    for found in CALLED.finditer(stripped):
        end = stripped.find(";", found.end())
        if path.startswith(("daemon/", "cli/")) and ".security" not in stripped[found.start():end]:
            line = stripped.count("\n", 0, found.start()) + 1
            yield f"{path}:{line}: a call that may have to be encrypted; set .security from the peer"


SCOPE = re.compile(r"^\s*(template\s*<[^{]*>\s*)?(typedef\s+)?(class|struct|union|enum|namespace|extern)\b[^()]*$")
HEAD = re.compile(r"\)[^;{}=]*$|\)\s*:[^;{}]*$")


def functions(stripped):
    """(line of the head, number of lines) of every function: a brace after a `)`, in a file, namespace or class."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), stripped, flags=re.M)
    stack = []
    start = 0
    for found in re.finditer(r"[;{}]", code):
        at = found.start()
        if found.group(0) == "{":
            head = code[start:at]
            is_open = all(kind == "scope" for kind, _ in stack)
            if is_open and SCOPE.search(head):
                stack.append(("scope", 0))
            elif is_open and HEAD.search(head):
                first = start + len(head) - len(head.lstrip())
                stack.append(("function", code.count("\n", 0, first) + 1))
            else:
                stack.append(("block", 0))
        elif found.group(0) == "}" and stack:
            kind, line = stack.pop()
            if kind == "function":
                yield line, code.count("\n", 0, at) + 2 - line
        start = at + 1


def long_ones(path, source, stripped):
    """What a reader may find long: no fault."""
    count = len(source.splitlines())
    if count > FILE_LINES and not path.endswith("_data.c"):  # generated or pure data
        yield f"{path}: {count} lines"
    for line, length in functions(stripped):
        if length > FUNCTION_LINES and not path.startswith("tests/"):
            yield f"{path}:{line}: a function of {length} lines"


def check(root):
    faults = []
    long = []
    for path in tree.sources(root, (".c", ".h", ".cc", ".hh")):
        if not path.startswith(CODE):
            continue
        source = tree.text(root, path)
        stripped = strip(source)
        originals = source.splitlines()
        for number, code in enumerate(stripped.splitlines(), 1):
            faults += [f"{path}:{number}: {f}" for f in line_faults(path, code, originals[number - 1])]
        faults += open_faults(path, stripped, source)
        faults += plain_calls(path, stripped)
        long += long_ones(path, source, stripped)
    for one in long:
        print("long:", one)
    return faults


SELF_TEST = {
    "daemon/pipeline/call.c": "static void f(void) {\n  const struct lvn_scu_peer peer = {.port = 104};\n  g(&peer);\n}\n",
    "daemon/a.c": "int f(char *a) {\n  return atoi(a);\n}\n",
    "config/b.c": "void f(char *a) {\n  free(a);\n}\n",
    "daemon/c.c": "void f(void) {\n  sqlite3_open(0, 0);\n}\n",
    "storage/d.c": "int f(void) {\n  return open(\"/x\",\n              O_RDONLY);\n}\n",
    "storage/e.c": "void *f(void) {\n  return fopen(\"/x\", \"r\");\n}\n",
    "dicom/h.cc": "void f() {\n  std::abort();\n}\n",
    "dicom/i.c": "void f(char *a) {\n  strcpy(a, a); /* allow: */\n}\n",
    "base/j.c": "off_t f;\n",
}

if __name__ == "__main__":
    sys.exit(tree.main(check, SELF_TEST))
