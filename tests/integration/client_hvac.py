#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""hvac, a Python client written for Vault, unmodified, against the real kmsd.

Usage: client_hvac.py PATH_OF_KMSD
"""
import base64
import hashlib
import sys
import tempfile
import unittest

import hvac

from kmsd_fixture import Kmsd

KMSD = sys.argv.pop(1)


def b64(text):
    return base64.b64encode(text.encode()).decode()


class HvacTransit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.kmsd = Kmsd(KMSD, cls.directory.name + "/state")
        cls.client = hvac.Client(url=cls.kmsd.address, token=cls.kmsd.token)
        cls.transit = cls.client.secrets.transit

    @classmethod
    def tearDownClass(cls):
        cls.client.adapter.close()
        status = cls.kmsd.stop()
        cls.directory.cleanup()
        assert status == 0, f"kmsd ended with {status}"

    def test_status(self):
        self.assertTrue(self.client.is_authenticated())
        self.assertTrue(self.client.sys.is_initialized())
        self.assertFalse(self.client.sys.is_sealed())
        health = self.client.sys.read_health_status(method="GET")
        self.assertFalse(health["sealed"])
        self.assertEqual(self.client.sys.read_health_status().status_code, 200)

    def test_wrong_token_is_refused(self):
        stranger = hvac.Client(url=self.kmsd.address, token="wrong")
        self.assertFalse(stranger.is_authenticated())
        with self.assertRaises(hvac.exceptions.Forbidden):
            stranger.secrets.transit.read_key("app", mount_point="dev")

    def test_encrypt_rotate_rewrap_decrypt(self):
        self.transit.create_key("app", mount_point="dev")
        self.transit.create_key("app", mount_point="dev")  # again: nothing changes
        first = self.transit.encrypt_data("app", plaintext=b64("hello"), mount_point="dev")
        first = first["data"]["ciphertext"]
        self.assertTrue(first.startswith("vault:v1:"))
        self.transit.rotate_key("app", mount_point="dev")
        second = self.transit.rewrap_data("app", first, mount_point="dev")["data"]["ciphertext"]
        self.assertTrue(second.startswith("vault:v2:"))
        for ciphertext in (first, second):
            plain = self.transit.decrypt_data("app", ciphertext, mount_point="dev")
            self.assertEqual(plain["data"]["plaintext"], b64("hello"))

    def test_list_read_delete(self):
        self.transit.create_key("listed", mount_point="staging")
        keys = self.transit.list_keys(mount_point="staging")["data"]["keys"]
        self.assertIn("listed", keys)
        info = self.transit.read_key("listed", mount_point="staging")["data"]
        self.assertEqual(info["type"], "aes256-gcm96")
        self.assertEqual(list(info["keys"]), ["1"])
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.transit.delete_key("listed", mount_point="staging")
        self.transit.update_key_configuration("listed", deletion_allowed=True,
                                              mount_point="staging")
        self.transit.delete_key("listed", mount_point="staging")
        with self.assertRaises(hvac.exceptions.InvalidPath):
            self.transit.read_key("listed", mount_point="staging")

    def test_trim_as_in_hvacs_own_suite(self):
        self.transit.create_key("trimmed")
        for _ in range(10):
            self.transit.rotate_key("trimmed")
        self.transit.update_key_configuration("trimmed", min_decryption_version=3,
                                              min_encryption_version=9)
        self.transit.trim_key("trimmed", min_version=2)
        info = self.transit.read_key("trimmed")["data"]
        self.assertEqual(info["min_available_version"], 2)
        self.assertEqual(info["latest_version"], 11)

    def test_data_key(self):
        self.transit.create_key("wrapping", key_type="chacha20-poly1305", mount_point="dev")
        answer = self.transit.generate_data_key("wrapping", key_type="plaintext",
                                                mount_point="dev")["data"]
        self.assertEqual(len(base64.b64decode(answer["plaintext"])), 32)
        opened = self.transit.decrypt_data("wrapping", answer["ciphertext"], mount_point="dev")
        self.assertEqual(opened["data"]["plaintext"], answer["plaintext"])

    def test_batches(self):
        self.transit.create_key("batch", mount_point="dev")
        items = [{"plaintext": b64(str(n)), "reference": f"row-{n}"} for n in range(50)]
        results = self.transit.encrypt_data("batch", plaintext=None, batch_input=items,
                                            mount_point="dev")
        results = results["data"]["batch_results"]
        self.assertEqual([r["reference"] for r in results], [i["reference"] for i in items])
        opened = self.transit.decrypt_data(
            "batch", ciphertext=None, batch_input=[{"ciphertext": r["ciphertext"]} for r in results],
            mount_point="dev")["data"]["batch_results"]
        self.assertEqual([r["plaintext"] for r in opened], [i["plaintext"] for i in items])
        broken = [{"ciphertext": results[0]["ciphertext"]}, {"ciphertext": "vault:v1:AAAA"}]
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.transit.decrypt_data("batch", ciphertext=None, batch_input=broken,
                                      mount_point="dev")

    def test_random_bytes(self):
        answer = self.transit.generate_random_bytes(n_bytes=48, mount_point="dev")["data"]
        self.assertEqual(len(base64.b64decode(answer["random_bytes"])), 48)
        answer = self.transit.generate_random_bytes(output_format="hex", mount_point="dev")["data"]
        self.assertEqual(len(bytes.fromhex(answer["random_bytes"])), 32)
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.transit.generate_random_bytes(n_bytes=0, mount_point="dev")
        sealed = self.client.write("dev/random/seal/5000")["data"]  # from the HSM
        self.assertEqual(len(base64.b64decode(sealed["random_bytes"])), 5000)

    def test_hash_data(self):
        answer = self.transit.hash_data(b64("abc"), algorithm="sha2-256", output_format="hex",
                                        mount_point="dev")["data"]
        self.assertEqual(answer["sum"], hashlib.sha256(b"abc").hexdigest())
        tools = self.client.write("sys/tools/hash/sha3-512", input=b64("abc"))["data"]
        self.assertEqual(tools["sum"], hashlib.sha3_512(b"abc").hexdigest())
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.transit.hash_data("not base64!", mount_point="dev")

    def test_hmac(self):
        self.transit.create_key("mac", key_type="chacha20-poly1305", mount_point="dev")
        first = self.transit.generate_hmac("mac", b64("hello"), mount_point="dev")["data"]["hmac"]
        self.assertTrue(first.startswith("vault:v1:"))
        self.transit.rotate_key("mac", mount_point="dev")
        second = self.transit.generate_hmac("mac", b64("hello"), algorithm="sha2-512",
                                            mount_point="dev")["data"]["hmac"]
        self.assertTrue(second.startswith("vault:v2:"))
        for hmac, algorithm in ((first, "sha2-256"), (second, "sha2-512")):
            for text, valid in (("hello", True), ("hallo", False)):
                answer = self.transit.verify_signed_data("mac", b64(text), hmac=hmac,
                                                         hash_algorithm=algorithm,
                                                         mount_point="dev")
                self.assertIs(answer["data"]["valid"], valid)
        older = self.transit.generate_hmac("mac", b64("hello"), key_version=1, mount_point="dev")
        self.assertEqual(older["data"]["hmac"], first)
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.transit.generate_hmac("missing", b64("hello"), mount_point="dev")
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.transit.verify_signed_data("mac", b64("hello"), signature="vault:v1:AAAA",
                                            mount_point="dev")

    def test_mounts(self):
        self.client.sys.enable_secrets_engine("transit", path="team/eu")
        self.assertIn("team/eu/", self.client.sys.list_mounted_secrets_engines()["data"])
        self.transit.create_key("inner", mount_point="team/eu")
        self.client.sys.disable_secrets_engine("team/eu")
        self.assertNotIn("team/eu/", self.client.sys.list_mounted_secrets_engines()["data"])

    def test_prod_is_protected(self):
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.client.sys.disable_secrets_engine("prod")
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.transit.encrypt_data("typo", plaintext=b64("x"), mount_point="prod")

    def test_token_self(self):
        info = self.client.auth.token.lookup_self()["data"]
        self.assertEqual(info["policies"], ["root"])
        self.assertEqual(info["ttl"], 0)


if __name__ == "__main__":
    unittest.main()
