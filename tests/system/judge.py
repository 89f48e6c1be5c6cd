"""Independent judges of DICOM objects: dciodvfy, PixelMed's DicomSRValidator, highdicom."""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
# PixelMed's rules exceed Java 17's default limits on XPath operators; without this it gives up before it checks anything.
JAVA_LIMITS = ["-Djdk.xml.xpathTotalOpLimit=0", "-Djdk.xml.xpathExprOpLimit=0", "-Djdk.xml.xpathExprGrpLimit=0"]
CLASS_PATH = ":".join(sorted(str(p) for p in pathlib.Path("/usr/share/java").glob("*.jar")))


def dciodvfy_errors(path):
    """The lines of dciodvfy that begin with "Error"."""
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, timeout=120)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
    if done.returncode != 0 and not lines:
        lines = [f"Error - dciodvfy ended with {done.returncode}"]
    return lines


def sr_validator_errors(paths):
    """{path: [lines that begin with Error]} for many SRs in one Java machine: its start-up costs 14 s."""
    command = ["java", *JAVA_LIMITS, "-cp", CLASS_PATH, str(HERE / "ValidateReports.java"), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stderr[-2000:]
    errors = {}
    current = None
    for line in done.stdout.splitlines():
        if line.startswith("FILE "):
            current = line[5:]
            errors[current] = []
        elif line.startswith("Error") and current is not None:
            errors[current].append(line)
        elif line.startswith("DONE ") and current is not None:
            current = None
    assert set(errors) == {str(p) for p in paths}, "the validator did not reach every file"
    return errors


def highdicom_report(path):
    """The report as highdicom reads it; raises when it cannot."""
    import highdicom
    return highdicom.sr.srread(str(path))


def referenced_uids(dataset):
    """Every Referenced SOP Instance UID anywhere in a data set."""
    found = set()
    for element in dataset.iterall():
        if element.keyword == "ReferencedSOPInstanceUID":
            found.add(str(element.value))
    return found


def samples_needed(folder):
    """Message for a skip that says why, out loud."""
    return f"SKIPPED: real sample objects are not at hand ({folder}); set LVN_SAMPLE_DATA" if folder is None else None


def have(tool):
    return any(os.access(os.path.join(p, tool), os.X_OK) for p in os.environ["PATH"].split(":"))
