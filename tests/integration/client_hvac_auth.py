#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""hvac's auth methods, policies, tokens and wrapping, unmodified, against the real kmsd.

Usage: client_hvac_auth.py PATH_OF_KMSD
"""
import base64
import json
import sys
import tempfile
import unittest

import hvac

from kmsd_fixture import Kmsd

KMSD = sys.argv.pop(1)

ENCRYPT_ONLY = 'path "dev/encrypt/orders" { capabilities = ["update"] }'


def b64(text):
    return base64.b64encode(text.encode()).decode()


class HvacAuth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.kmsd = Kmsd(KMSD, cls.directory.name + "/state")
        cls.root = hvac.Client(url=cls.kmsd.address, token=cls.kmsd.token)
        cls.root.secrets.transit.create_key("orders", mount_point="dev")
        cls.root.sys.create_or_update_policy("encrypt-orders", ENCRYPT_ONLY)

    @classmethod
    def tearDownClass(cls):
        cls.root.adapter.close()
        status = cls.kmsd.stop()
        cls.directory.cleanup()
        assert status == 0, f"kmsd ended with {status}"

    def client(self, token=None):
        client = hvac.Client(url=self.kmsd.address, token=token)
        self.addCleanup(client.adapter.close)
        return client

    def encrypts_and_does_nothing_else(self, client):
        transit = client.secrets.transit
        sealed = transit.encrypt_data("orders", plaintext=b64("x"), mount_point="dev")
        with self.assertRaises(hvac.exceptions.Forbidden):
            transit.decrypt_data("orders", sealed["data"]["ciphertext"], mount_point="dev")
        with self.assertRaises(hvac.exceptions.Forbidden):
            transit.encrypt_data("orders", plaintext=b64("x"), mount_point="prod")
        with self.assertRaises(hvac.exceptions.Forbidden):
            client.sys.list_policies()

    def test_policies(self):
        self.assertIn("encrypt-orders", self.root.sys.list_policies()["data"]["policies"])
        read = self.root.sys.read_policy("encrypt-orders")["data"]
        self.assertEqual(read["rules"], ENCRYPT_ONLY)
        self.root.sys.create_or_update_policy("gone", {"path": {"dev/*": {"capabilities": ["read"]}}})
        self.root.sys.delete_policy("gone")
        self.assertNotIn("gone", self.root.sys.list_policies()["data"]["policies"])
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.root.sys.create_or_update_policy("bad", "path {")
        capabilities = self.root.sys.get_capabilities(["dev/encrypt/orders"])
        self.assertEqual(capabilities["data"]["capabilities"], ["root"])

    def test_tokens(self):
        made = self.root.auth.token.create(policies=["encrypt-orders"], ttl="1h", meta={"by": "test"},
                                           display_name="orders")["auth"]
        client = self.client(made["client_token"])
        self.encrypts_and_does_nothing_else(client)
        own = client.auth.token.lookup_self()["data"]
        self.assertEqual(own["policies"], ["default", "encrypt-orders"])
        self.assertEqual(own["meta"], {"by": "test"})
        self.assertEqual(self.root.auth.token.lookup_accessor(made["accessor"])["data"]["id"], "")
        self.assertTrue(client.auth.token.renew_self()["auth"]["renewable"])
        child = self.root.auth.token.create(policies=["default"], num_uses=2)["auth"]
        limited = self.client(child["client_token"])
        limited.auth.token.lookup_self()
        limited.auth.token.lookup_self()
        with self.assertRaises(hvac.exceptions.Forbidden):
            limited.auth.token.lookup_self()
        self.root.auth.token.revoke_accessor(made["accessor"])
        self.assertFalse(client.is_authenticated())

    def test_token_roles(self):
        self.root.auth.token.create_or_update_role("ci", allowed_policies=["encrypt-orders"],
                                                   orphan=True)
        made = self.root.auth.token.create(policies=["encrypt-orders"], role_name="ci")["auth"]
        self.assertTrue(made["orphan"])
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.root.auth.token.create(policies=["other"], role_name="ci")
        self.assertIn("ci", self.root.auth.token.list_roles()["data"]["keys"])

    def test_approle(self):
        self.root.sys.enable_auth_method("approle")
        approle = self.root.auth.approle
        approle.create_or_update_approle("orders", token_policies=["encrypt-orders"],
                                         secret_id_num_uses=1, token_ttl="10m")
        role_id = approle.read_role_id("orders")["data"]["role_id"]
        secret_id = approle.generate_secret_id("orders", {"host": "a"})["data"]["secret_id"]
        client = self.client()
        login = client.auth.approle.login(role_id, secret_id)
        self.assertEqual(login["auth"]["metadata"]["role_name"], "orders")
        self.encrypts_and_does_nothing_else(client)
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.client().auth.approle.login(role_id, secret_id)
        wrapped = approle.generate_secret_id("orders", wrap_ttl="60s")["wrap_info"]
        opened = self.client(wrapped["token"]).sys.unwrap()["data"]
        self.client().auth.approle.login(role_id, opened["secret_id"])
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.client(wrapped["token"]).sys.unwrap()
        self.assertIn("approle/", self.root.sys.list_auth_methods()["data"])
        self.root.sys.disable_auth_method("approle")
        self.assertFalse(client.is_authenticated())

    def test_userpass(self):
        self.root.sys.enable_auth_method("userpass", path="people")
        users = self.root.auth.userpass
        users.create_or_update_user("alice", password="correct horse", policies="encrypt-orders",
                                    mount_point="people")
        client = self.client()
        client.auth.userpass.login("alice", "correct horse", mount_point="people")
        self.encrypts_and_does_nothing_else(client)
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.client().auth.userpass.login("alice", "wrong", mount_point="people")
        self.assertEqual(users.list_user(mount_point="people")["data"]["keys"], ["alice"])

    def test_jwt(self):
        # What it takes to configure it; tokens are made and judged in the tests of the service itself.
        self.root.sys.enable_auth_method("jwt")
        jwt = self.root.auth.jwt
        jwt.configure(jwt_validation_pubkeys=[PUBLIC_KEY], bound_issuer="https://issuer.example")
        self.assertEqual(jwt.read_config()["data"]["bound_issuer"], "https://issuer.example")
        jwt.create_role("ci", role_type="jwt", allowed_redirect_uris=[], user_claim="sub",
                        bound_audiences=["kms"], token_policies=["encrypt-orders"])
        self.assertEqual(jwt.read_role("ci")["data"]["user_claim"], "sub")
        with self.assertRaises(hvac.exceptions.InvalidRequest):
            self.client().auth.jwt.jwt_login("ci", "a.b.c")

    def test_wrapping(self):
        wrapped = self.root.sys.wrap({"secret": "x"}, ttl=60)["wrap_info"]
        self.assertEqual(self.root.sys.read_wrap_info(wrapped["token"])["data"]["creation_ttl"], 60) \
            if hasattr(self.root.sys, "read_wrap_info") else None
        self.assertEqual(self.root.sys.unwrap(wrapped["token"])["data"], {"secret": "x"})

    def test_capabilities_of_a_token(self):
        made = self.root.auth.token.create(policies=["encrypt-orders"])["auth"]
        listed = self.root.sys.get_capabilities(["dev/encrypt/orders", "dev/decrypt/orders"],
                                                token=made["client_token"])
        self.assertEqual(listed["data"]["dev/encrypt/orders"], ["update"])
        self.assertEqual(listed["data"]["dev/decrypt/orders"], ["deny"])
        self.assertNotIn(made["client_token"], json.dumps(listed))


PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""

if __name__ == "__main__":
    unittest.main(verbosity=2)
