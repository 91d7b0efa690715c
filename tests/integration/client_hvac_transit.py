#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The current release of hvac, unmodified: its whole Transit API against the real kmsd.

What hvac has no method for (import, batches of verify) goes through its generic read and write.
The signatures, exports and imports are checked by another implementation (pyca/cryptography).

Usage: client_hvac_transit.py PATH_OF_KMSD
"""
import base64
import hashlib
import hmac
import os
import sys
import tempfile
import unittest

import hvac
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding

from kmsd_fixture import Kmsd

KMSD = sys.argv.pop(1)

AEAD = ("aes256-gcm96", "aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305")
CURVES = {"ecdsa-p256": ec.SECP256R1(), "ecdsa-p384": ec.SECP384R1(), "ecdsa-p521": ec.SECP521R1()}
RSA = {"rsa-2048": 2048, "rsa-3072": 3072, "rsa-4096": 4096}
HASHES = {"sha2-224": hashes.SHA224(), "sha2-256": hashes.SHA256(), "sha2-384": hashes.SHA384(),
          "sha2-512": hashes.SHA512()}
TEXT = b"hello transit"


def b64(data):
    data = data.encode() if isinstance(data, str) else data
    return base64.b64encode(data).decode()


def payload(text):
    """The bytes after vault:vN:."""
    return base64.b64decode(text.split(":", 2)[2])


def private_der(key):
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def public_pem(key):
    return key.public_bytes(serialization.Encoding.PEM,
                            serialization.PublicFormat.SubjectPublicKeyInfo).decode()


class TransitTest(unittest.TestCase):
    """One kmsd for each class; every test works on keys of its own in the environment dev."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.kmsd = Kmsd(KMSD, cls.directory.name + "/state")
        # The first wrapping key of an environment takes its time.
        cls.client = hvac.Client(url=cls.kmsd.address, token=cls.kmsd.token, timeout=120)

    @classmethod
    def tearDownClass(cls):
        cls.client.adapter.close()
        status = cls.kmsd.stop()
        cls.directory.cleanup()
        assert status == 0, f"kmsd ended with {status}"

    def call(self, method, *arguments, **options):
        """A method of hvac's Transit class, in dev; its data."""
        answer = getattr(self.client.secrets.transit, method)(*arguments, mount_point="dev",
                                                              **options)
        return answer["data"]

    def create(self, name, key_type=None, **options):
        """hvac knows no xchacha20-poly1305, aes128-gcm96 or hmac and refuses them itself."""
        if key_type in ("aes128-gcm96", "xchacha20-poly1305", "hmac"):
            self.client.write_data(f"dev/keys/{name}", data={"type": key_type, **options})
            return self.info(name)
        return self.call("create_key", name, key_type=key_type, **options)

    def write(self, path, **fields):
        answer = self.client.write_data("dev/" + path, data=fields)
        return answer["data"] if isinstance(answer, dict) else None

    def info(self, name):
        return self.call("read_key", name)


class Keys(TransitTest):
    def test_every_symmetric_type(self):
        for key_type in AEAD:
            with self.subTest(key_type):
                info = self.create("of-" + key_type, key_type)
                self.assertEqual(info["type"], key_type)
                self.assertTrue(info["supports_encryption"] and info["supports_derivation"])
                self.assertFalse(info["supports_signing"])
                self.assertIsInstance(info["keys"]["1"], int)

    def test_every_curve(self):
        for key_type, curve in CURVES.items():
            with self.subTest(key_type):
                info = self.create("of-" + key_type, key_type)
                self.assertTrue(info["supports_signing"])
                self.assertFalse(info["supports_encryption"])
                version = info["keys"]["1"]
                self.assertTrue(version["public_key"].endswith("-----END PUBLIC KEY-----\n"))
                public = serialization.load_pem_public_key(version["public_key"].encode())
                self.assertEqual(public.curve.name, curve.name)

    def test_ed25519(self):
        info = self.create("of-ed25519", "ed25519")
        version = info["keys"]["1"]
        self.assertEqual(version["name"], "ed25519")
        self.assertEqual(len(base64.b64decode(version["public_key"])), 32)

    def test_every_rsa_size(self):
        for key_type, bits in RSA.items():
            with self.subTest(key_type):
                info = self.create("of-" + key_type, key_type)
                self.assertTrue(info["supports_signing"] and info["supports_encryption"])
                public = serialization.load_pem_public_key(
                    info["keys"]["1"]["public_key"].encode())
                self.assertEqual(public.key_size, bits)

    def test_hmac_type(self):
        info = self.create("of-hmac", "hmac", key_size=48)
        self.assertEqual((info["type"], info["key_size"]), ("hmac", 48))

    def test_creating_again_changes_nothing(self):
        self.create("twice")
        again = self.call("create_key", "twice", key_type="ed25519")
        self.assertEqual(again["type"], "aes256-gcm96")

    def test_unknown_type_is_refused(self):
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "unknown key type rot13"):
            self.write("keys/odd", type="rot13")

    def test_derived_and_convergent_need_each_other_and_a_fitting_type(self):
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.write("keys/odd", convergent_encryption=True)
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.write("keys/odd", type="rsa-2048", derived=True)

    def test_options_are_shown(self):
        info = self.create("options", derived=True, convergent_encryption=True, exportable=True,
                           allow_plaintext_backup=True, auto_rotate_period="24h")
        for option in ("derived", "convergent_encryption", "exportable", "allow_plaintext_backup"):
            self.assertIs(info[option], True, option)
        self.assertEqual(info["auto_rotate_period"], 86400)
        self.assertEqual(info["kdf"], "hkdf_sha256")
        self.assertEqual(info["convergent_encryption_version"], -1)

    def test_list_in_order(self):
        for name in ("listed-b", "listed-a"):
            self.create(name)
        names = [name for name in self.call("list_keys")["keys"] if name.startswith("listed-")]
        self.assertEqual(names, ["listed-a", "listed-b"])

    def test_configuration(self):
        self.create("tuned")
        for _ in range(3):
            self.call("rotate_key", "tuned")
        info = self.call("update_key_configuration", "tuned", min_decryption_version=2,
                         min_encryption_version=3, deletion_allowed=True, exportable=True,
                         allow_plaintext_backup=True, auto_rotate_period="2h")
        self.assertEqual((info["min_decryption_version"], info["min_encryption_version"]), (2, 3))
        self.assertEqual(sorted(info["keys"]), ["2", "3", "4"])
        self.assertEqual(info["auto_rotate_period"], 7200)
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "latest key version is 4"):
            self.call("update_key_configuration", "tuned", min_decryption_version=9)
        info = self.call("update_key_configuration", "tuned", min_decryption_version=1)
        self.assertEqual(sorted(info["keys"]), ["1", "2", "3", "4"])

    def test_trim(self):
        self.create("trimmed")
        for _ in range(10):
            self.call("rotate_key", "trimmed")
        self.call("update_key_configuration", "trimmed", min_decryption_version=3,
                  min_encryption_version=9)
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.client.write_data("dev/keys/trimmed/trim", data={})
        info = self.call("trim_key", "trimmed", min_version=2)
        self.assertEqual(info["min_available_version"], 2)
        self.assertEqual(self.info("trimmed")["latest_version"], 11)

    def test_delete(self):
        self.create("doomed")
        transit = self.client.secrets.transit
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "deletion is not allowed"):
            transit.delete_key("doomed", mount_point="dev")
        self.call("update_key_configuration", "doomed", deletion_allowed=True)
        self.assertEqual(transit.delete_key("doomed", mount_point="dev").status_code, 204)
        with self.assertRaises(hvac.exceptions.InvalidPath):
            self.info("doomed")

    def test_engine_configuration(self):
        self.assertIs(self.write("config/keys", disable_upsert=True)["disable_upsert"], True)
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "encryption key not found"):
            self.call("encrypt_data", "typo", plaintext=b64(TEXT))
        self.write("config/keys", disable_upsert=False)
        self.assertIs(self.client.read("dev/config/keys")["data"]["disable_upsert"], False)
        self.write("cache-config", size=100)
        self.assertEqual(self.client.read("dev/cache-config")["data"]["size"], 100)


class SoftDeletion(TransitTest):
    def test_deleted_softly_and_restored(self):
        self.create("soft")
        sealed = self.call("encrypt_data", "soft", plaintext=b64(TEXT))["ciphertext"]
        self.client.delete("dev/keys/soft/soft-delete")
        self.assertIs(self.info("soft")["soft_deleted"], True)
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest,
                                    "refusing to use soft-deleted key"):
            self.call("decrypt_data", "soft", sealed)
        self.write("keys/soft/soft-delete-restore")
        self.assertEqual(self.call("decrypt_data", "soft", sealed)["plaintext"], b64(TEXT))


class Encryption(TransitTest):
    def seals_and_opens(self, name, **options):
        sealed = self.call("encrypt_data", name, plaintext=b64(TEXT), **options)["ciphertext"]
        opened = self.call("decrypt_data", name, sealed, **options)["plaintext"]
        self.assertEqual(base64.b64decode(opened), TEXT)
        return sealed

    def test_every_aead(self):
        for key_type in AEAD:
            with self.subTest(key_type):
                self.create("seal-" + key_type, key_type)
                self.seals_and_opens("seal-" + key_type)
                sealed = self.seals_and_opens("seal-" + key_type, associated_data=b64("row-7"))
                with self.assertRaises(hvac.exceptions.InvalidRequest):
                    self.call("decrypt_data", "seal-" + key_type, sealed,
                              associated_data=b64("row-8"))

    def test_rsa(self):
        for key_type in RSA:
            with self.subTest(key_type):
                info = self.create("seal-" + key_type, key_type)
                self.seals_and_opens("seal-" + key_type)
                public = serialization.load_pem_public_key(
                    info["keys"]["1"]["public_key"].encode())
                outside = public.encrypt(TEXT, padding.OAEP(padding.MGF1(hashes.SHA256()),
                                                            hashes.SHA256(), None))
                opened = self.call("decrypt_data", "seal-" + key_type, "vault:v1:" + b64(outside))
                self.assertEqual(opened["plaintext"], b64(TEXT))

    def test_signing_keys_do_not_encrypt(self):
        self.create("signs-only", "ed25519")
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "not supported for key type"):
            self.call("encrypt_data", "signs-only", plaintext=b64(TEXT))

    def test_derived(self):
        self.create("derived", derived=True)
        sealed = self.seals_and_opens("derived", context=b64("tenant-42"))
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.call("decrypt_data", "derived", sealed, context=b64("tenant-43"))
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "missing 'context'"):
            self.call("encrypt_data", "derived", plaintext=b64(TEXT))

    def test_convergent(self):
        self.create("convergent", derived=True, convergent_encryption=True)
        first, second = (self.seals_and_opens("convergent", context=b64("tenant-42"))
                         for _ in range(2))
        self.assertEqual(first, second)
        other = self.seals_and_opens("convergent", context=b64("tenant-42"),
                                     associated_data=b64("row-7"))
        self.assertNotEqual(payload(first)[:12], payload(other)[:12], "a nonce repeats")

    def test_made_on_demand(self):
        sealed = self.call("encrypt_data", "on-demand", plaintext=b64(TEXT), context=b64("t"),
                           type="chacha20-poly1305", convergent_encryption=True)
        self.assertTrue(sealed["ciphertext"].startswith("vault:v1:"))
        info = self.info("on-demand")
        self.assertEqual((info["type"], info["derived"], info["convergent_encryption"]),
                         ("chacha20-poly1305", True, True))

    def test_versions_and_rewrap(self):
        for key_type in ("aes256-gcm96", "rsa-2048"):
            with self.subTest(key_type):
                name = "rewrapped-" + key_type
                self.create(name, key_type)
                first = self.call("encrypt_data", name, plaintext=b64(TEXT))["ciphertext"]
                self.call("rotate_key", name)
                older = self.call("encrypt_data", name, plaintext=b64(TEXT), key_version=1)
                self.assertTrue(older["ciphertext"].startswith("vault:v1:"))
                second = self.call("rewrap_data", name, first)
                self.assertTrue(second["ciphertext"].startswith("vault:v2:"))
                self.assertEqual(second["key_version"], 2)
                back = self.call("rewrap_data", name, second["ciphertext"], key_version=1)
                for ciphertext in (first, second["ciphertext"], back["ciphertext"]):
                    opened = self.call("decrypt_data", name, ciphertext)
                    self.assertEqual(opened["plaintext"], b64(TEXT))

    def test_retired_versions_do_not_open(self):
        self.create("retired")
        sealed = self.call("encrypt_data", "retired", plaintext=b64(TEXT))["ciphertext"]
        self.call("rotate_key", "retired")
        self.call("update_key_configuration", "retired", min_decryption_version=2)
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "too old"):
            self.call("decrypt_data", "retired", sealed)

    def test_data_keys(self):
        self.create("wrapping")
        for bits in (128, 256, 512):
            answer = self.call("generate_data_key", "wrapping", key_type="plaintext", bits=bits)
            self.assertEqual(len(base64.b64decode(answer["plaintext"])) * 8, bits)
            opened = self.call("decrypt_data", "wrapping", answer["ciphertext"])
            self.assertEqual(opened["plaintext"], answer["plaintext"])
        answer = self.call("generate_data_key", "wrapping", key_type="wrapped")
        self.assertNotIn("plaintext", answer)

    def test_data_key_for_a_context(self):
        self.create("wrapping-derived", derived=True)
        answer = self.call("generate_data_key", "wrapping-derived", key_type="plaintext",
                           context=b64("tenant-42"))
        opened = self.call("decrypt_data", "wrapping-derived", answer["ciphertext"],
                           context=b64("tenant-42"))
        self.assertEqual(opened["plaintext"], answer["plaintext"])

    def test_batches_on_every_type(self):
        for key_type in AEAD + ("rsa-2048",):
            with self.subTest(key_type):
                name = "batch-" + key_type
                self.create(name, key_type)
                plain = [{"plaintext": b64(f"{n}"), "reference": f"row-{n}"} for n in range(20)]
                sealed = self.call("encrypt_data", name, batch_input=plain)["batch_results"]
                self.call("rotate_key", name)
                moved = self.call("rewrap_data", name, None, batch_input=[
                    {"ciphertext": item["ciphertext"]} for item in sealed])["batch_results"]
                self.assertTrue(all(i["ciphertext"].startswith("vault:v2:") for i in moved))
                opened = self.call("decrypt_data", name, batch_input=[
                    {"ciphertext": item["ciphertext"], "reference": f"row-{n}"}
                    for n, item in enumerate(moved)])["batch_results"]
                self.assertEqual([(i["plaintext"], i["reference"]) for i in opened],
                                 [(i["plaintext"], i["reference"]) for i in plain])

    def test_batch_with_one_bad_item(self):
        self.create("partly")
        good = self.call("encrypt_data", "partly", plaintext=b64(TEXT))["ciphertext"]
        items = [{"ciphertext": good}, {"ciphertext": "vault:v1:AAAA"}]
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.call("decrypt_data", "partly", batch_input=items)
        answer = self.write("decrypt/partly", batch_input=items, partial_failure_response_code=200)
        self.assertEqual(answer["batch_results"][0]["plaintext"], b64(TEXT))
        self.assertIn("error", answer["batch_results"][1])


class Hashing(TransitTest):
    def test_hash(self):
        for algorithm in ("sha2-224", "sha2-256", "sha2-384", "sha2-512"):
            expected = hashlib.new(algorithm.replace("sha2-", "sha"), TEXT)
            answer = self.call("hash_data", b64(TEXT), algorithm=algorithm, output_format="hex")
            self.assertEqual(answer["sum"], expected.hexdigest())
            answer = self.call("hash_data", b64(TEXT), algorithm=algorithm, output_format="base64")
            self.assertEqual(answer["sum"], b64(expected.digest()))
        for algorithm in ("sha3-224", "sha3-256", "sha3-384", "sha3-512"):
            expected = hashlib.new(algorithm.replace("-", "_"), TEXT).hexdigest()
            self.assertEqual(self.write("hash/" + algorithm, input=b64(TEXT))["sum"], expected)

    def test_random(self):
        seen = set()
        for path in ("random", "random/64", "random/seal", "random/all/64", "random/platform/64"):
            seen.add(self.write(path, format="hex")["random_bytes"])
        self.assertEqual(len(seen), 5)
        self.assertEqual(len(base64.b64decode(
            self.call("generate_random_bytes", n_bytes=100)["random_bytes"])), 100)

    def test_hmac_with_every_algorithm(self):
        self.create("mac")
        for algorithm in ("sha2-224", "sha2-256", "sha2-384", "sha2-512"):
            made = self.call("generate_hmac", "mac", b64(TEXT), algorithm=algorithm)["hmac"]
            for text, valid in ((TEXT, True), (b"hallo", False)):
                answer = self.call("verify_signed_data", "mac", b64(text), hmac=made,
                                   hash_algorithm=algorithm)
                self.assertIs(answer["valid"], valid)

    def test_hmac_of_every_type(self):
        for key_type in ("aes256-gcm96", "hmac", "ed25519", "ecdsa-p256", "rsa-2048"):
            with self.subTest(key_type):
                name = "mac-" + key_type
                self.create(name, key_type)
                self.assertTrue(self.call("generate_hmac", name, b64(TEXT))["hmac"]
                                .startswith("vault:v1:"))

    def test_hmac_batch(self):
        self.create("mac-batch")
        made = self.write("hmac/mac-batch", batch_input=[{"input": b64("a")}, {}])["batch_results"]
        self.assertTrue(made[0]["hmac"].startswith("vault:v1:"))
        self.assertEqual(made[1]["error"], "missing input for HMAC")
        checked = self.write("verify/mac-batch", batch_input=[
            {"input": b64("a"), "hmac": made[0]["hmac"]}])["batch_results"]
        self.assertIs(checked[0]["valid"], True)


class Signatures(TransitTest):
    def public(self, name, version="1"):
        return serialization.load_pem_public_key(
            self.info(name)["keys"][version]["public_key"].encode())

    def sign(self, name, data=TEXT, **options):
        return self.call("sign_data", name, b64(data), **options)

    def is_valid(self, name, signature, data=TEXT, **options):
        return self.call("verify_signed_data", name, b64(data), signature=signature,
                         **options)["valid"]

    def check(self, name, **options):
        signature = self.sign(name, **options)["signature"]
        self.assertIs(self.is_valid(name, signature, **options), True)
        self.assertIs(self.is_valid(name, signature, data=b"hallo", **options), False)
        return signature

    def test_ecdsa(self):
        for key_type in CURVES:
            self.create("sign-" + key_type, key_type)
            for algorithm, function in HASHES.items():
                with self.subTest(f"{key_type} {algorithm}"):
                    signature = self.check("sign-" + key_type, hash_algorithm=algorithm)
                    self.public("sign-" + key_type).verify(payload(signature), TEXT,
                                                           ec.ECDSA(function))

    def test_ecdsa_as_jws(self):
        self.create("jws", "ecdsa-p256")
        signature = self.check("jws", marshaling_algorithm="jws")
        raw = base64.urlsafe_b64decode(signature.split(":")[2] + "==")
        self.assertEqual(len(raw), 64)
        r, s = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
        self.public("jws").verify(utils.encode_dss_signature(r, s), TEXT, ec.ECDSA(hashes.SHA256()))

    def test_ed25519(self):
        self.create("edwards", "ed25519")
        signature = self.check("edwards")
        raw = base64.b64decode(self.info("edwards")["keys"]["1"]["public_key"])
        ed25519.Ed25519PublicKey.from_public_bytes(raw).verify(payload(signature), TEXT)

    def test_ed25519_derived(self):
        self.create("edwards-derived", "ed25519", derived=True)
        answer = self.sign("edwards-derived", context=b64("tenant-42"))
        again = self.sign("edwards-derived", context=b64("tenant-42"))
        self.assertEqual(answer["signature"], again["signature"])
        public = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(answer["public_key"]))
        public.verify(payload(answer["signature"]), TEXT)
        self.assertIs(self.is_valid("edwards-derived", answer["signature"],
                                    context=b64("tenant-42")), True)
        self.assertIs(self.is_valid("edwards-derived", answer["signature"],
                                    context=b64("tenant-43")), False)
        shown = self.client.read("dev/keys/edwards-derived?context=" + b64("tenant-42"))["data"]
        self.assertEqual(shown["keys"]["1"]["public_key"], answer["public_key"])

    def test_rsa(self):
        for key_type in RSA:
            name = "sign-" + key_type
            self.create(name, key_type)
            public = self.public(name)
            for algorithm, function in HASHES.items():
                with self.subTest(f"{key_type} {algorithm}"):
                    signature = self.check(name, hash_algorithm=algorithm)
                    public.verify(payload(signature), TEXT, padding.PSS(
                        padding.MGF1(function), padding.PSS.MAX_LENGTH), function)
                    signature = self.check(name, hash_algorithm=algorithm,
                                           signature_algorithm="pkcs1v15")
                    public.verify(payload(signature), TEXT, padding.PKCS1v15(), function)

    def test_salt_length(self):
        self.create("salted", "rsa-2048")
        public = self.public("salted")
        for salt, expected in (("hash", 32), ("-1", 32), ("20", 20), ("auto", 222)):
            with self.subTest(salt):
                signature = self.check("salted", salt_length=salt)
                public.verify(payload(signature), TEXT, padding.PSS(
                    padding.MGF1(hashes.SHA256()), expected), hashes.SHA256())
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "salt length 9999 is invalid"):
            self.sign("salted", salt_length="9999")

    def test_prehashed(self):
        digest = hashlib.sha256(TEXT).digest()
        for key_type in ("ecdsa-p256", "rsa-2048"):
            with self.subTest(key_type):
                name = "prehashed-" + key_type
                self.create(name, key_type)
                signature = self.sign(name, data=digest, prehashed=True)["signature"]
                self.assertIs(self.is_valid(name, signature), True)
                self.assertIs(self.is_valid(name, signature, data=digest, prehashed=True), True)

    def test_versions(self):
        self.create("rotated", "ecdsa-p256")
        first = self.sign("rotated")["signature"]
        self.call("rotate_key", "rotated")
        second = self.sign("rotated")
        self.assertEqual(second["key_version"], 2)
        self.assertTrue(second["signature"].startswith("vault:v2:"))
        older = self.sign("rotated", key_version=1)["signature"]
        for signature in (first, second["signature"], older):
            self.assertIs(self.is_valid("rotated", signature), True)
        with self.assertRaises(InvalidSignature):
            self.public("rotated", "2").verify(payload(first), TEXT, ec.ECDSA(hashes.SHA256()))

    def test_batch(self):
        self.create("batch", "ed25519")
        results = self.call("sign_data", "batch", batch_input=[
            {"input": b64("a"), "reference": "first"}, {}])["batch_results"]
        self.assertEqual(results[0]["reference"], "first")
        self.assertEqual(results[1]["error"], "missing input")
        checked = self.write("verify/batch", batch_input=[
            {"input": b64(text), "signature": results[0]["signature"]} for text in ("a", "b")])
        self.assertEqual([item["valid"] for item in checked["batch_results"]], [True, False])

    def test_mistakes_are_the_callers(self):
        self.create("symmetric")
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest,
                                    "key type aes256-gcm96 does not support signing"):
            self.sign("symmetric")
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "signing key not found"):
            self.sign("missing")
        self.create("mistaken", "rsa-2048")
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "higher than the latest"):
            self.sign("mistaken", key_version=7)
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, 'invalid hash algorithm "md5"'):
            self.write("sign/mistaken/md5", input=b64(TEXT))


class Export(TransitTest):
    def export(self, name, key_type, **options):
        return self.call("export_key", name, key_type=key_type, **options)["keys"]

    def read(self, path):
        return self.client.read("dev/" + path)["data"]

    def test_encryption_key_opens_outside(self):
        self.create("out", exportable=True)
        sealed = payload(self.call("encrypt_data", "out", plaintext=b64(TEXT))["ciphertext"])
        key = base64.b64decode(self.export("out", "encryption-key")["1"])
        self.assertEqual(AESGCM(key).decrypt(sealed[:12], sealed[12:], None), TEXT)

    def test_hmac_key_works_outside(self):
        self.create("out-mac", exportable=True)
        made = self.call("generate_hmac", "out-mac", b64(TEXT), algorithm="sha2-256")["hmac"]
        key = base64.b64decode(self.export("out-mac", "hmac-key")["1"])
        self.assertEqual(hmac.digest(key, TEXT, "sha256"), payload(made))

    def test_signing_keys_sign_outside(self):
        self.create("out-ec", "ecdsa-p384", exportable=True)
        pem = self.export("out-ec", "signing-key")["1"]
        self.assertTrue(pem.startswith("-----BEGIN EC PRIVATE KEY-----"))
        signature = serialization.load_pem_private_key(pem.encode(), None).sign(
            TEXT, ec.ECDSA(hashes.SHA384()))
        answer = self.call("verify_signed_data", "out-ec", b64(TEXT), hash_algorithm="sha2-384",
                           signature="vault:v1:" + b64(signature))
        self.assertIs(answer["valid"], True)

    def test_rsa(self):
        self.create("out-rsa", "rsa-2048", exportable=True)
        for key_type in ("encryption-key", "signing-key"):
            pem = self.export("out-rsa", key_type)["1"]
            self.assertTrue(pem.startswith("-----BEGIN RSA PRIVATE KEY-----"))
        for form, begin in (("pem", "-----BEGIN PRIVATE KEY-----"),):
            pem = self.read(f"export/signing-key/out-rsa?format={form}")["keys"]["1"]
            self.assertTrue(pem.startswith(begin))
        der = base64.b64decode(self.read("export/signing-key/out-rsa?format=der")["keys"]["1"])
        self.assertEqual(serialization.load_der_private_key(der, None).key_size, 2048)
        public = self.read("export/public-key/out-rsa")["keys"]["1"]
        self.assertEqual(public, self.info("out-rsa")["keys"]["1"]["public_key"])

    def test_ed25519(self):
        self.create("out-ed", "ed25519", exportable=True)
        raw = base64.b64decode(self.export("out-ed", "signing-key")["1"])
        public = base64.b64decode(self.info("out-ed")["keys"]["1"]["public_key"])
        self.assertEqual((len(raw), raw[32:]), (64, public))

    def test_versions(self):
        self.create("out-versions", exportable=True)
        self.call("rotate_key", "out-versions")
        self.assertEqual(sorted(self.export("out-versions", "encryption-key")), ["1", "2"])
        self.assertEqual(list(self.export("out-versions", "encryption-key", version=1)), ["1"])
        self.assertEqual(
            list(self.read("export/encryption-key/out-versions/latest")["keys"]), ["2"])

    def test_refusals(self):
        self.create("kept")
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest,
                                    "private key material is not exportable"):
            self.export("kept", "encryption-key")
        with self.assertRaises(hvac.exceptions.InvalidPath):
            self.export("missing", "encryption-key")
        self.create("out-sym", exportable=True)
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "signing not supported"):
            self.export("out-sym", "signing-key")


class Backup(TransitTest):
    def test_backup_and_restore_every_type(self):
        for key_type in AEAD + ("ed25519", "ecdsa-p256", "rsa-2048", "hmac"):
            with self.subTest(key_type):
                name = "saved-" + key_type
                self.create(name, key_type, exportable=True, allow_plaintext_backup=True)
                self.call("rotate_key", name)
                made = self.call("generate_hmac", name, b64(TEXT))["hmac"]
                backup = self.call("backup_key", name)["backup"]
                transit = self.client.secrets.transit
                transit.restore_key(backup=backup, name=name + "-2", mount_point="dev")
                self.assertEqual(self.info(name + "-2")["latest_version"], 2)
                self.assertEqual(self.call("generate_hmac", name + "-2", b64(TEXT))["hmac"], made)

    def test_restored_under_its_own_name_after_deletion(self):
        self.create("again", exportable=True, allow_plaintext_backup=True)
        sealed = self.call("encrypt_data", "again", plaintext=b64(TEXT))["ciphertext"]
        backup = self.call("backup_key", "again")["backup"]
        transit = self.client.secrets.transit
        self.call("update_key_configuration", "again", deletion_allowed=True)
        transit.delete_key("again", mount_point="dev")
        transit.restore_key(backup=backup, mount_point="staging")
        opened = transit.decrypt_data("again", sealed, mount_point="staging")["data"]
        self.assertEqual(opened["plaintext"], b64(TEXT))

    def test_the_three_refusals_that_hvac_expects_as_500(self):
        transit = self.client.secrets.transit
        self.create("bare", exportable=True)
        with self.assertRaisesRegex(hvac.exceptions.InternalServerError,
                                    "plaintext backup is disallowed on the policy"):
            self.call("backup_key", "bare")
        self.create("closed", allow_plaintext_backup=True)
        with self.assertRaisesRegex(hvac.exceptions.InternalServerError,
                                    "exporting is disallowed on the policy"):
            self.call("backup_key", "closed")
        self.create("full", exportable=True, allow_plaintext_backup=True)
        backup = self.call("backup_key", "full")["backup"]
        with self.assertRaisesRegex(hvac.exceptions.InternalServerError, "already exists"):
            transit.restore_key(backup=backup, mount_point="dev")
        self.assertEqual(
            transit.restore_key(backup=backup, force=True, mount_point="dev").status_code, 204)


class Import(TransitTest):
    def wrap(self, target, function=hashes.SHA256()):
        pem = self.client.read("dev/wrapping_key")["data"]["public_key"]
        wrapping = serialization.load_pem_public_key(pem.encode())
        self.assertEqual(wrapping.key_size, 4096)
        ephemeral = os.urandom(32)
        return b64(wrapping.encrypt(ephemeral, padding.OAEP(padding.MGF1(function), function, None))
                   + aes_key_wrap_with_padding(ephemeral, target))

    def test_aes(self):
        key = os.urandom(32)
        self.write("keys/in-aes/import", type="aes256-gcm96", ciphertext=self.wrap(key))
        nonce = os.urandom(12)
        outside = "vault:v1:" + b64(nonce + AESGCM(key).encrypt(nonce, TEXT, None))
        self.assertEqual(self.call("decrypt_data", "in-aes", outside)["plaintext"], b64(TEXT))
        self.assertIs(self.info("in-aes")["imported_key"], True)

    def test_private_keys(self):
        for key_type, key in (
                ("ecdsa-p256", ec.generate_private_key(ec.SECP256R1())),
                ("ecdsa-p521", ec.generate_private_key(ec.SECP521R1())),
                ("ed25519", ed25519.Ed25519PrivateKey.generate()),
                ("rsa-2048", rsa.generate_private_key(65537, 2048))):
            with self.subTest(key_type):
                name = "in-" + key_type
                self.write(f"keys/{name}/import", type=key_type,
                           ciphertext=self.wrap(private_der(key)))
                signature = payload(self.call("sign_data", name, b64(TEXT),
                                              signature_algorithm="pkcs1v15")["signature"])
                if key_type == "ed25519":
                    key.public_key().verify(signature, TEXT)
                elif key_type == "rsa-2048":
                    key.public_key().verify(signature, TEXT, padding.PKCS1v15(), hashes.SHA256())
                else:
                    key.public_key().verify(signature, TEXT, ec.ECDSA(hashes.SHA256()))

    def test_public_half_only(self):
        key = ec.generate_private_key(ec.SECP256R1())
        self.write("keys/in-public/import", type="ecdsa-p256",
                   public_key=public_pem(key.public_key()))
        signature = "vault:v1:" + b64(key.sign(TEXT, ec.ECDSA(hashes.SHA256())))
        answer = self.call("verify_signed_data", "in-public", b64(TEXT), signature=signature)
        self.assertIs(answer["valid"], True)
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.call("sign_data", "in-public", b64(TEXT))

    def test_another_version(self):
        self.write("keys/in-two/import", type="aes256-gcm96", ciphertext=self.wrap(os.urandom(32)))
        self.write("keys/in-two/import_version", ciphertext=self.wrap(os.urandom(32)))
        self.assertEqual(self.info("in-two")["latest_version"], 2)
        with self.assertRaisesRegex(hvac.exceptions.InvalidRequest, "does not allow rotation"):
            self.call("rotate_key", "in-two")

    def test_rotation_when_allowed(self):
        self.write("keys/in-rotated/import", type="aes256-gcm96", allow_rotation=True,
                   ciphertext=self.wrap(os.urandom(32)))
        self.assertEqual(self.call("rotate_key", "in-rotated")["latest_version"], 2)

    def test_damaged_blob_is_refused(self):
        blob = bytearray(base64.b64decode(self.wrap(os.urandom(32))))
        blob[-1] ^= 1
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.write("keys/in-damaged/import", type="aes256-gcm96", ciphertext=b64(blob))
        with self.assertRaises(hvac.exceptions.InvalidPath):
            self.info("in-damaged")

    def test_key_moves_to_another_environment_wrapped(self):
        self.create("source", exportable=True)
        sealed = self.call("encrypt_data", "source", plaintext=b64(TEXT))["ciphertext"]
        pem = self.client.read("staging/wrapping_key")["data"]["public_key"]
        self.write("keys/destination/import", type="rsa-4096", public_key=pem)
        blob = self.client.read("dev/byok-export/destination/source")["data"]["keys"]["1"]
        self.client.write_data("staging/keys/moved/import",
                               data={"type": "aes256-gcm96", "ciphertext": blob})
        opened = self.client.secrets.transit.decrypt_data("moved", sealed, mount_point="staging")
        self.assertEqual(opened["data"]["plaintext"], b64(TEXT))


if __name__ == "__main__":
    unittest.main()
