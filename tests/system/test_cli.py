"""The command line: help on each command, one line and exit status 2 for a mistake."""

import concurrent.futures
import re
import subprocess

import pytest

import harness


def livervlm(*words):
    return subprocess.run([str(harness.BIN / "livervlm"), *words], capture_output=True, text=True, timeout=60, check=False)


def commands():
    listed = livervlm("--help").stdout
    return re.findall(r"^  ([a-z][a-z-]*)  +\S", listed, re.M)


def assert_refused(done, words):
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_every_command_of_the_contract_is_listed():
    wanted = {"analyze", "phantom", "dataset", "train", "evaluate", "model", "check-config", "status", "studies", "jobs",
              "outbound", "retry", "release", "echo", "text-encoder"}
    assert wanted <= set(commands())


def test_version():
    done = livervlm("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"livervlm \d+\.\d+\.\d+\n", done.stdout)


def test_every_command_has_help_and_refuses_an_unknown_option():
    assert commands()
    for command in commands():
        done = livervlm(command, "--help")
        assert done.returncode == 0, command
        assert done.stdout.startswith(f"usage: livervlm {command}"), command
        assert done.stderr == "", command
        assert_refused(livervlm(command, "--no-such-option"), command)


def helps():
    """{words: help} of every command, and of the commands of commands of each one."""
    first = {(command,): livervlm(command, "--help").stdout for command in commands()}
    groups = {words: text for words, text in first.items() if f"livervlm {words[0]} COMMAND" in text}
    members = [(*words, m) for words, text in groups.items() for m in re.findall(r"^  ([a-z]+)  +\S", text, re.M)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:  # most load libtorch
        texts = pool.map(lambda words: livervlm(*words, "--help").stdout, members)
    return {**{w: t for w, t in first.items() if w not in groups}, **dict(zip(members, texts))}


def test_every_help_has_examples_whose_options_exist_and_fits_a_terminal():
    found = helps()
    assert len(found) > 25
    for words, text in found.items():
        head, _, examples = text.partition("\nExamples:\n")
        own = [line for line in examples.splitlines() if line.startswith(f"  livervlm {' '.join(words)}")]
        assert own, words
        for line in own:
            for option in re.findall(r" (--[a-z-]+)", line):
                assert f"  {option}" in head, (words, line)
            for name in head.partition("\n")[0].split(" [OPTION]")[0].split()[2:]:
                assert not name.startswith("--") or name in line, (words, line)
        assert max(len(line) for line in text.splitlines()) <= 120, words


def test_unknown_command():
    assert_refused(livervlm("analyse"), "unknown command 'analyse'")
    assert_refused(livervlm(), "a command is missing")


@pytest.mark.parametrize("text, words", [
    ("[node]\nprot = 1\n", "a.ini:2: unknown key 'prot' in section [node]; did you mean port"),
    ("[node]\nport = 99999\n", "a.ini:2: port: '99999' is not allowed; allowed: 1 to 65535"),
    ("[peers]\n", "a.ini:1: unknown section [peers]; did you mean peer"),
])
def test_check_config_names_the_line(tmp_path, text, words):
    file = tmp_path / "a.ini"
    file.write_text(text)
    assert_refused(livervlm("check-config", str(file)), words)


def test_check_config_takes_its_own_sample(tmp_path):
    file = tmp_path / "sample.ini"
    file.write_text(livervlm("check-config", "--sample").stdout)
    done = livervlm("check-config", "--config", str(file), "--print")
    assert done.returncode == 0
    assert "node.ae_title = LIVERVLM\n" in done.stdout
