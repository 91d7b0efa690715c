#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The sops binary, unmodified, with its master keys in the real kmsd.

Usage: client_sops.py PATH_OF_KMSD PATH_OF_SOPS
"""
import os
import stat
import subprocess
import sys
import tempfile
import unittest

import hvac

from kmsd_fixture import Kmsd

SOPS = os.path.abspath(sys.argv.pop(2))
KMSD = sys.argv.pop(1)

PLAIN = "database:\n    user: app\n    password: correct horse\n"


class Sops(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.home = self.directory.name
        self.kmsd = Kmsd(KMSD, self.home + "/state")
        self.client = hvac.Client(url=self.kmsd.address, token=self.kmsd.token)
        self.create("prod", "secrets")
        self.write("secrets.yaml", PLAIN)

    def tearDown(self):
        self.client.adapter.close()
        status = self.kmsd.stop()
        self.directory.cleanup()
        self.assertEqual(status, 0)

    def create(self, environment, name):
        self.client.secrets.transit.create_key(name, mount_point=environment)

    def uri(self, environment, name):
        return f"{self.kmsd.address}/v1/{environment}/keys/{name}"

    def write(self, name, text):
        with open(f"{self.home}/{name}", "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(f"{self.home}/{name}", encoding="utf-8") as file:
            return file.read()

    def run_sops(self, *arguments, token=None, **variables):
        environment = {"HOME": self.home, "PATH": os.environ["PATH"],
                       "VAULT_TOKEN": token or self.kmsd.token, **variables}
        return subprocess.run([SOPS, *arguments], cwd=self.home, env=environment, timeout=60,
                              capture_output=True, text=True, check=False)

    def sops(self, *arguments, **options):
        done = self.run_sops(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def encrypt(self):
        self.sops("encrypt", "--in-place", "--hc-vault-transit", self.uri("prod", "secrets"),
                  "secrets.yaml")
        return self.read("secrets.yaml")

    def test_encrypts_and_decrypts(self):
        sealed = self.encrypt()
        self.assertNotIn("correct horse", sealed)
        self.assertIn("enc: vault:v1:", sealed)
        self.assertEqual(self.sops("decrypt", "secrets.yaml"), PLAIN)
        self.assertEqual(
            self.sops("decrypt", "--extract", '["database"]["user"]', "secrets.yaml"), "app")

    def test_rotates(self):
        self.encrypt()
        self.client.secrets.transit.rotate_key("secrets", mount_point="prod")
        self.assertEqual(self.sops("decrypt", "secrets.yaml"), PLAIN)
        self.sops("rotate", "--in-place", "secrets.yaml")
        self.assertIn("enc: vault:v2:", self.read("secrets.yaml"))
        self.client.secrets.transit.update_key_configuration(
            "secrets", min_decryption_version=2, mount_point="prod")
        self.assertEqual(self.sops("decrypt", "secrets.yaml"), PLAIN)

    def test_moves_to_other_keys(self):
        """updatekeys: from prod/secrets to a key below a mount of several segments."""
        self.encrypt()
        self.client.sys.enable_secrets_engine("transit", path="team/eu")
        self.create("team/eu", "secrets")
        self.write(".sops.yaml", "creation_rules:\n"
                   f"  - hc_vault_transit_uri: {self.uri('team/eu', 'secrets')}\n")
        self.sops("updatekeys", "--yes", "secrets.yaml")
        self.assertIn("engine_path: team/eu", self.read("secrets.yaml"))
        self.assertNotIn("engine_path: prod", self.read("secrets.yaml"))
        self.client.secrets.transit.update_key_configuration(
            "secrets", deletion_allowed=True, mount_point="prod")
        self.client.secrets.transit.delete_key("secrets", mount_point="prod")
        self.assertEqual(self.sops("decrypt", "secrets.yaml"), PLAIN)

    def test_edits(self):
        self.encrypt()
        editor = self.home + "/editor"
        self.write("editor", "#!/bin/sh\nexec sed -i 's/correct horse/battery staple/' \"$1\"\n")
        os.chmod(editor, stat.S_IRWXU)
        self.sops("edit", "secrets.yaml", SOPS_EDITOR=editor)
        self.assertNotIn("battery", self.read("secrets.yaml"))
        self.assertEqual(self.sops("decrypt", "secrets.yaml"),
                         PLAIN.replace("correct horse", "battery staple"))

    def test_opens_nothing_with_a_wrong_token_or_key(self):
        self.encrypt()
        self.assertNotEqual(self.run_sops("decrypt", "secrets.yaml", token="wrong").returncode, 0)
        self.client.secrets.transit.update_key_configuration(
            "secrets", deletion_allowed=True, mount_point="prod")
        self.client.secrets.transit.delete_key("secrets", mount_point="prod")
        self.create("prod", "secrets")
        done = self.run_sops("decrypt", "secrets.yaml")
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("correct horse", done.stdout)


if __name__ == "__main__":
    unittest.main()
