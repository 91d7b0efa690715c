// SPDX-License-Identifier: Apache-2.0
// Every Transit endpoint through the generic calls of Vault's own Go client: PUT for writes, GET
// with ?list=true for lists, JSON numbers kept as they are.
package client_go

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

func TestStatus(t *testing.T) {
	health, err := client.Sys().Health()
	if err != nil || health.Sealed || !health.Initialized {
		t.Fatalf("%+v, %v", health, err)
	}
	seal, err := client.Sys().SealStatus()
	if err != nil || seal.Sealed {
		t.Fatalf("%+v, %v", seal, err)
	}
	self, err := client.Auth().Token().LookupSelf()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, self.Data["policies"], "[root]")
}

func TestMounts(t *testing.T) {
	if err := client.Sys().Mount("team/go", &api.MountInput{Type: "transit"}); err != nil {
		t.Fatal(err)
	}
	mounts, err := client.Sys().ListMounts()
	if err != nil || mounts["team/go/"] == nil {
		t.Fatalf("%v, %v", mounts, err)
	}
	if _, err := client.Logical().Write("team/go/keys/inner", nil); err != nil {
		t.Fatal(err)
	}
	if err := client.Sys().Unmount("team/go"); err != nil {
		t.Fatal(err)
	}
}

func TestKeysOfEveryType(t *testing.T) {
	for _, kind := range []string{"aes256-gcm96", "aes128-gcm96", "chacha20-poly1305",
		"xchacha20-poly1305", "ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-2048",
		"rsa-3072", "hmac"} {
		t.Run(kind, func(t *testing.T) {
			equal(t, write(t, "keys/of-"+kind, fields{"type": kind})["type"], kind)
			equal(t, read(t, "keys/of-"+kind)["latest_version"], 1)
		})
	}
}

func TestEmptyAndNullBodies(t *testing.T) {
	equal(t, write(t, "keys/null-body", nil)["name"], "null-body")
	equal(t, write(t, "keys/null-body/rotate", nil)["latest_version"], 2)
}

func TestListsBothWays(t *testing.T) {
	write(t, "keys/listed-b", nil)
	write(t, "keys/listed-a", nil)
	secret, err := client.Logical().List("dev/keys")
	if err != nil || secret == nil {
		t.Fatalf("%v, %v", secret, err)
	}
	names := fmt.Sprint(secret.Data["keys"])
	if !strings.Contains(names, "listed-a listed-b") {
		t.Errorf("%s", names)
	}
	request := client.NewRequest("LIST", "/v1/dev/keys")
	answer, err := client.RawRequest(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	equal(t, answer.StatusCode, 200)
	empty, err := client.Logical().List("transit/keys")
	if empty != nil || err != nil {
		t.Errorf("an empty list is %v, %v", empty, err)
	}
}

func TestNumbersStayExact(t *testing.T) {
	write(t, "keys/numbers", nil)
	created, ok := read(t, "keys/numbers")["keys"].(fields)["1"].(json.Number)
	if !ok {
		t.Fatal("the creation time is no number")
	}
	seconds, err := created.Int64()
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Hour {
		t.Errorf("%v, %v", created, err)
	}
	refused(t, "keys/numbers/config", fields{"min_decryption_version": int64(9007199254740993)}, 400,
		"cannot set min decryption version of 9007199254740993, latest key version is 1")
	refused(t, "keys/numbers/config", fields{"min_decryption_version": json.Number("1e400")}, 400, "")
	sealed := write(t, "encrypt/numbers", fields{"plaintext": b64("x"), "key_version": "1"})
	equal(t, sealed["key_version"], json.Number("1"))
}

func TestEncryptRotateRewrapDecrypt(t *testing.T) {
	write(t, "keys/app", nil)
	first := write(t, "encrypt/app", fields{"plaintext": b64("hello")})["ciphertext"]
	hasPrefix(t, first, "vault:v1:")
	write(t, "keys/app/rotate", nil)
	second := write(t, "rewrap/app", fields{"ciphertext": first})["ciphertext"]
	hasPrefix(t, second, "vault:v2:")
	for _, ciphertext := range []interface{}{first, second} {
		equal(t, write(t, "decrypt/app", fields{"ciphertext": ciphertext})["plaintext"], b64("hello"))
	}
	refused(t, "decrypt/app", fields{"ciphertext": "vault:v9:AAAA"}, 400, "version is too new")
	refused(t, "decrypt/missing", fields{"ciphertext": first}, 400, "encryption key not found")
}

func TestAssociatedDataAndContext(t *testing.T) {
	write(t, "keys/bound", fields{"derived": true})
	sealed := write(t, "encrypt/bound", fields{"plaintext": b64("hello"), "context": b64("tenant"),
		"associated_data": b64("row-7")})["ciphertext"]
	moved := write(t, "rewrap/bound", fields{"ciphertext": sealed, "context": b64("tenant"),
		"associated_data": b64("row-7")})["ciphertext"]
	opened := write(t, "decrypt/bound", fields{"ciphertext": moved, "context": b64("tenant"),
		"associated_data": b64("row-7")})
	equal(t, opened["plaintext"], b64("hello"))
	refused(t, "decrypt/bound", fields{"ciphertext": moved, "context": b64("tenant"),
		"associated_data": b64("row-8")}, 400, "message authentication failed")
}

func TestBatchOfAThousand(t *testing.T) {
	write(t, "keys/batch", nil)
	plain := make([]fields, 1000)
	for i := range plain {
		plain[i] = fields{"plaintext": b64(fmt.Sprint(i)), "reference": fmt.Sprint("row-", i)}
	}
	sealed := results(t, write(t, "encrypt/batch", fields{"batch_input": plain}))
	write(t, "keys/batch/rotate", nil)
	moved := results(t, write(t, "rewrap/batch", fields{"batch_input": only("ciphertext", sealed)}))
	opened := results(t, write(t, "decrypt/batch", fields{"batch_input": only("ciphertext", moved)}))
	for i := range plain {
		equal(t, sealed[i]["reference"], plain[i]["reference"])
		hasPrefix(t, moved[i]["ciphertext"], "vault:v2:")
		equal(t, opened[i]["plaintext"], plain[i]["plaintext"])
	}
}

func only(name string, items []fields) []fields {
	picked := make([]fields, len(items))
	for i, item := range items {
		picked[i] = fields{name: item[name]}
	}
	return picked
}

func TestBatchWithABadItem(t *testing.T) {
	write(t, "keys/partly", nil)
	good := write(t, "encrypt/partly", fields{"plaintext": b64("x")})["ciphertext"]
	batch := fields{"batch_input": []fields{{"ciphertext": good}, {"ciphertext": "vault:v1:AAAA"}}}
	if _, err := client.Logical().Write("dev/decrypt/partly", batch); err == nil {
		t.Error("a batch with a bad item succeeded")
	}
	batch["partial_failure_response_code"] = 200
	items := results(t, write(t, "decrypt/partly", batch))
	equal(t, items[0]["plaintext"], b64("x"))
	if items[1]["error"] == nil {
		t.Error("the bad item has no error")
	}
}

func TestDataKeys(t *testing.T) {
	write(t, "keys/wrapping", nil)
	for _, bits := range []int{128, 256, 512} {
		made := write(t, "datakey/plaintext/wrapping", fields{"bits": bits})
		raw, err := base64.StdEncoding.DecodeString(made["plaintext"].(string))
		if err != nil || len(raw)*8 != bits {
			t.Errorf("%d bits: %d bytes, %v", bits, len(raw), err)
		}
		opened := write(t, "decrypt/wrapping", fields{"ciphertext": made["ciphertext"]})
		equal(t, opened["plaintext"], made["plaintext"])
	}
	if write(t, "datakey/wrapped/wrapping", nil)["plaintext"] != nil {
		t.Error("a wrapped data key shows its plaintext")
	}
}

func TestConfigureTrimDelete(t *testing.T) {
	write(t, "keys/old", nil)
	for i := 0; i < 3; i++ {
		write(t, "keys/old/rotate", nil)
	}
	write(t, "keys/old/config", fields{"min_decryption_version": 3, "min_encryption_version": 3,
		"deletion_allowed": true, "auto_rotate_period": "720h"})
	equal(t, write(t, "keys/old/trim", fields{"min_available_version": 2})["min_available_version"], 2)
	equal(t, read(t, "keys/old")["auto_rotate_period"], 2592000)
	if _, err := client.Logical().Delete("dev/keys/old"); err != nil {
		t.Fatal(err)
	}
	gone, err := client.Logical().Read("dev/keys/old")
	if gone != nil || err != nil {
		t.Errorf("a deleted key is %v, %v", gone, err)
	}
}

func TestRandomHashHmac(t *testing.T) {
	for _, path := range []string{"random/48", "random/seal/48", "random/all/48"} {
		raw, err := base64.StdEncoding.DecodeString(write(t, path, nil)["random_bytes"].(string))
		if err != nil || len(raw) != 48 {
			t.Errorf("%s: %d bytes, %v", path, len(raw), err)
		}
	}
	equal(t, write(t, "hash/sha2-256", fields{"input": b64("abc")})["sum"],
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
	write(t, "keys/mac", nil)
	made := write(t, "hmac/mac/sha2-512", fields{"input": b64("abc")})["hmac"]
	checked := write(t, "verify/mac/sha2-512", fields{"input": b64("abc"), "hmac": made})
	equal(t, checked["valid"], true)
	batch := fields{"batch_input": []fields{{"input": b64("a")}, {"input": b64("b")}}}
	for _, item := range results(t, write(t, "hmac/mac", batch)) {
		hasPrefix(t, item["hmac"], "vault:v1:")
	}
}

func TestEngineConfiguration(t *testing.T) {
	equal(t, write(t, "config/keys", fields{"disable_upsert": true})["disable_upsert"], true)
	refused(t, "encrypt/typo", fields{"plaintext": b64("x")}, 400, "encryption key not found")
	write(t, "config/keys", fields{"disable_upsert": false})
	equal(t, read(t, "config/keys")["disable_upsert"], false)
	write(t, "cache-config", fields{"size": 500})
	equal(t, read(t, "cache-config")["size"], 500)
}

func TestUnknownFieldsAreWarnedAbout(t *testing.T) {
	secret, err := client.Logical().Write("dev/keys/warned", fields{"min_encryption_versoin": 1})
	if err != nil {
		t.Fatal(err)
	}
	hasPrefix(t, strings.Join(secret.Warnings, "\n"),
		"Endpoint ignored these unrecognized parameters: [min_encryption_versoin]")
}

func TestManyDataKeys(t *testing.T) {
	write(t, "keys/many", nil)
	pairs := write(t, "datakeys/plaintext/many", fields{"count": 20})["key_pairs"].([]interface{})
	seen := map[interface{}]bool{}
	for _, pair := range pairs {
		made := pair.(fields)
		seen[made["plaintext"]] = true
		opened := write(t, "decrypt/many", fields{"ciphertext": made["ciphertext"]})
		equal(t, opened["plaintext"], made["plaintext"])
	}
	equal(t, len(seen), 20)
}

func TestEnvironmentsAsNamespaces(t *testing.T) {
	staging := client.WithNamespace("staging")
	if _, err := staging.Logical().Write("transit/keys/spaced", nil); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"staging/keys/spaced", "staging/transit/keys/spaced"} {
		secret, err := client.Logical().Read(path)
		if err != nil || secret == nil {
			t.Errorf("%s: %v, %v", path, secret, err)
		}
	}
	secret, err := client.WithNamespace("prod").Logical().Read("transit/keys/spaced")
	if secret != nil || err != nil {
		t.Errorf("another environment shows the key: %v, %v", secret, err)
	}
}
