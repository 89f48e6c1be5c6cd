"""Certificates of the tests, by the openssl program: authorities, servers and clients, good and bad ones."""

import pathlib

from harness import run


class Authority:
    """A certificate authority with its files in `folder`."""

    def __init__(self, folder, name="Test Authority"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate = self.folder / "ca.pem"
        self.key = self.folder / "ca.key"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.certificate,
            "-days", "2", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, name, host="localhost", days=2, client=False):
        """(certificate, key, both in one file) for this DNS name; negative days: it ended."""
        certificate, key, both = (self.folder / f"{name}.{ending}" for ending in ("pem", "key", "both.pem"))
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{host}\nextendedKeyUsage={'clientAuth' if client else 'serverAuth'}\n")
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={host}")
        run("openssl", "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial",
            "-out", certificate, "-extfile", extensions, "-days", days)
        both.write_text(certificate.read_text() + key.read_text())
        key.chmod(0o600)
        both.chmod(0o600)
        return certificate, key, both


def secret(path, text):
    """A file that nobody else may read."""
    path = pathlib.Path(path)
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path
