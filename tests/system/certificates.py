"""Certificates for the tests, made by the openssl program: authorities, and what they or nobody signed."""

import hashlib
import pathlib
import ssl
import subprocess


def openssl(*words, age_days=0, **options):
    clock = ["faketime", "-f", f"{-age_days:+d}d"] if age_days else []
    done = subprocess.run([*clock, "openssl", *map(str, words)], capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


class Pair:
    """A certificate and its key, as PEM files."""

    def __init__(self, folder, name):
        self.certificate = pathlib.Path(folder) / f"{name}.pem"
        self.key = pathlib.Path(folder) / f"{name}.key"

    def fingerprint(self):
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.first())).hexdigest()

    def first(self):
        text = self.certificate.read_text()
        return text[text.index("-----BEGIN"):text.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"


class Authority:
    """Signs for the names it is given. `signed_by`: an intermediate one."""

    def __init__(self, folder, name, signed_by=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.signer = signed_by
        self.pair = Pair(self.folder, name)
        self.make(self.pair, f"/O=Test hospital/CN={name}", "basicConstraints=critical,CA:TRUE\n"
                  "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n", signed_by, 3650, 0)

    @property
    def certificate(self):
        return self.pair.certificate

    def make(self, pair, subject, extensions, signer, days, age_days, key=("rsa:2048",)):
        request = pair.certificate.with_suffix(".csr")
        openssl("req", "-newkey", *key, "-nodes", "-keyout", pair.key, "-out", request, "-subj", subject)
        pair.key.chmod(0o600)
        file = pair.certificate.with_suffix(".ext")
        file.write_text(extensions)
        by = ["-CA", signer.certificate, "-CAkey", signer.pair.key, "-CAcreateserial"] if signer else \
            ["-signkey", pair.key]
        openssl("x509", "-req", "-in", request, *by, "-days", days, "-sha256", "-extfile", file, "-out",
                pair.certificate, age_days=age_days)

    def sign(self, name, names="IP:127.0.0.1,DNS:localhost", days=365, age_days=0, key=("rsa:2048",), own=False):
        """A Pair. `own`: signed by its own key, for whom nobody vouches. `age_days`: made so long ago."""
        pair = Pair(self.folder, name)
        self.make(pair, f"/O=Test hospital/CN={name}", f"basicConstraints=CA:FALSE\nsubjectAltName={names}\n",
                  None if own else self, days, age_days, key)
        return pair
