"""The pages' age client (npm's age-encryption) opens our files and we open its."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from crypto import age
from crypto.scrypt import Passphrase
from crypto.x25519 import Identity

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node") or ""
pytestmark = pytest.mark.skipif(
    not NODE or not (ROOT / "node_modules" / "age-encryption").is_dir(),
    reason="`node` or its package age-encryption isn't installed",
)

SIZES = [0, 1, 65535, 65536, 65537, 2 * 65536]
IDENTITY = Identity.generate()
DECRYPT = """
const opener = new Decrypter();
if (process.argv[1].startsWith("AGE-")) opener.addIdentity(process.argv[1]); else opener.addPassphrase(process.argv[1]);
process.stdout.write(await opener.decrypt(readFileSync(0)));
"""
ENCRYPT = """
const sealer = new Encrypter();
if (process.argv[1].startsWith("age1")) sealer.addRecipient(process.argv[1]);
else { sealer.setScryptWorkFactor(16); sealer.setPassphrase(process.argv[1]); }
process.stdout.write(await sealer.encrypt(readFileSync(0)));
"""


def _node(script, argument, stdin):
    script = 'import { Decrypter, Encrypter } from "age-encryption"; import { readFileSync } from "node:fs";' + script
    args = [NODE, "--input-type=module", "-e", script, argument]
    return subprocess.run(args, input=stdin, capture_output=True, timeout=60, check=False, cwd=ROOT)


@pytest.mark.parametrize("size", SIZES)
def test_the_pages_open_ours(size):
    plaintext = os.urandom(size)
    done = _node(DECRYPT, IDENTITY.secret_text(), age.encrypt(plaintext, [IDENTITY.recipient]))
    assert (done.returncode, done.stdout) == (0, plaintext), done.stderr


@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_the_pages_made(size):
    plaintext = os.urandom(size)
    done = _node(ENCRYPT, str(IDENTITY.recipient), plaintext)
    assert done.returncode == 0, done.stderr
    assert age.decrypt(done.stdout, [IDENTITY]) == plaintext


def test_a_bundle_under_a_passphrase_goes_both_ways():
    phrase = "six generated words"
    ours = age.encrypt(b"bundle", [Passphrase(phrase, 16)])
    assert _node(DECRYPT, phrase, ours).stdout == b"bundle"
    assert age.decrypt(_node(ENCRYPT, phrase, b"bundle").stdout, [Passphrase(phrase)]) == b"bundle"


def test_the_pages_refuse_a_cut_file_of_ours():
    data = age.encrypt(bytes(65537), [IDENTITY.recipient])
    assert _node(DECRYPT, IDENTITY.secret_text(), data[:-1]).returncode != 0
