"""Brings the FHIR server that plays the EHR into .runtime/ehr/ and prints the folder: quick where it is there.

Its packages are pinned in requirements.txt and installed by pip with --target (a bare Debian has no venv).
With two arguments it makes keys in a folder instead: `rsa` or `ec` for SMART Backend Services, `tls` for https.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUNTIME = HERE.parents[1] / ".runtime" / "ehr"
PYTHON_MIN = (3, 11)


def packages() -> Path:
    """The folder to put on sys.path."""
    if sys.version_info < PYTHON_MIN:
        found = ".".join(map(str, sys.version_info[:2]))
        sys.exit(f"the test EHR needs Python {'.'.join(map(str, PYTHON_MIN))} or later; this is {found}")
    requirements = HERE / "requirements.txt"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    target = RUNTIME / f"python{sys.version_info.major}.{sys.version_info.minor}"
    RUNTIME.mkdir(parents=True, exist_ok=True)
    # Test processes side by side: the second waits for the first.
    with open(RUNTIME / "install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = target / ".done"
        if not (done.exists() and done.read_text() == wanted):
            install(requirements, target)
            done.write_text(wanted)
    return target


def install(requirements: Path, target: Path) -> None:
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode != 0:
        sys.exit("the test EHR needs pip, which this Python lacks; on Debian: apt-get install python3-pip")
    unfinished = target.with_name(target.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    pip += ["--root-user-action=ignore", "--no-cache-dir", "--target", str(unfinished), "-r", str(requirements)]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"pip could not install the test EHR (is there a network?)\n{done.stderr.strip()[-2000:]}")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(unfinished, target)


def make_keys(kind: str, folder: Path) -> None:
    """`private.pem` (PKCS#8) and `public.pem`."""
    sys.path.insert(0, str(packages()))
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = ec.generate_private_key(ec.SECP384R1()) if kind == "ec" else rsa.generate_private_key(65537, 3072)
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "private.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "public.pem").write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, spki))


def make_tls(folder: Path) -> None:
    """An authority (`ca.pem`), a server (`server.pem`, `server.key`) and a client (`client.pem`, with its key)."""
    sys.path.insert(0, str(packages()))
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    pem = serialization.Encoding.PEM

    def certificate(name, issuer, issuer_key, key, authority):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer or subject, public_key=key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=30))
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        if not authority:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        return builder.sign(issuer_key or key, hashes.SHA256())

    def private(key):
        return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    ca_key, server_key, client_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    ca = certificate("Responsum tests", None, None, ca_key, True)
    server = certificate("localhost", ca.subject, ca_key, server_key, False)
    client = certificate("responsum", ca.subject, ca_key, client_key, False)
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    (folder / "server.pem").write_bytes(server.public_bytes(pem))
    (folder / "server.key").write_bytes(private(server_key))
    (folder / "client.pem").write_bytes(client.public_bytes(pem) + private(client_key))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        kind, folder = sys.argv[1], Path(sys.argv[2])
        make_tls(folder) if kind == "tls" else make_keys(kind, folder)
    else:
        print(packages())
