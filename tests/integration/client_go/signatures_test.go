// SPDX-License-Identifier: Apache-2.0
// Signatures and RSA encryption, checked by Go's own cryptography.
package client_go

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
)

func versionOf(t *testing.T, name, version string) fields {
	t.Helper()
	return read(t, "keys/"+name)["keys"].(fields)[version].(fields)
}

func publicKey(t *testing.T, name string) interface{} {
	t.Helper()
	return publicKeyOf(t, name, "1")
}

func publicKeyOf(t *testing.T, name, version string) interface{} {
	t.Helper()
	block, _ := pem.Decode([]byte(versionOf(t, name, version)["public_key"].(string)))
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func payload(t *testing.T, text interface{}) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(text.(string), ":", 3)[2])
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func verifies(t *testing.T, name string, signature interface{}, options fields) {
	t.Helper()
	for text, valid := range map[string]bool{"hello": true, "hallo": false} {
		body := fields{"input": b64(text), "signature": signature}
		for option, value := range options {
			body[option] = value
		}
		equal(t, write(t, "verify/"+name, body)["valid"], valid)
	}
}

func TestSignEcdsa(t *testing.T) {
	write(t, "keys/sign-ec", fields{"type": "ecdsa-p256"})
	// As cosign asks: a digest, an RSA algorithm that does not matter, a version as text.
	digest := sha256.Sum256([]byte("hello"))
	signature := write(t, "sign/sign-ec/sha2-256", fields{"prehashed": true, "key_version": "0",
		"signature_algorithm": "pkcs1v15",
		"input":               base64.StdEncoding.EncodeToString(digest[:])})["signature"]
	verifies(t, "sign-ec", signature, nil)
	public := publicKey(t, "sign-ec").(*ecdsa.PublicKey)
	if !ecdsa.VerifyASN1(public, digest[:], payload(t, signature)) {
		t.Error("Go does not accept the signature")
	}
}

func TestSignEd25519(t *testing.T) {
	write(t, "keys/sign-ed", fields{"type": "ed25519"})
	signature := write(t, "sign/sign-ed", fields{"input": b64("hello")})["signature"]
	verifies(t, "sign-ed", signature, nil)
	text := versionOf(t, "sign-ed", "1")["public_key"].(string)
	public, err := base64.StdEncoding.DecodeString(text)
	if err != nil || !ed25519.Verify(public, []byte("hello"), payload(t, signature)) {
		t.Error("Go does not accept the signature")
	}
}

func TestSignRsa(t *testing.T) {
	write(t, "keys/sign-rsa", fields{"type": "rsa-2048"})
	digest := sha256.Sum256([]byte("hello"))
	public := publicKey(t, "sign-rsa").(*rsa.PublicKey)
	pss := write(t, "sign/sign-rsa", fields{"input": b64("hello")})["signature"]
	verifies(t, "sign-rsa", pss, nil)
	if err := rsa.VerifyPSS(public, crypto.SHA256, digest[:], payload(t, pss), nil); err != nil {
		t.Error(err)
	}
	options := fields{"signature_algorithm": "pkcs1v15"}
	old := write(t, "sign/sign-rsa", fields{"input": b64("hello"),
		"signature_algorithm": "pkcs1v15"})["signature"]
	verifies(t, "sign-rsa", old, options)
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], payload(t, old)); err != nil {
		t.Error(err)
	}
}

func TestSignBatch(t *testing.T) {
	write(t, "keys/sign-batch", fields{"type": "ecdsa-p256"})
	signed := results(t, write(t, "sign/sign-batch", fields{"batch_input": []fields{
		{"input": b64("a"), "reference": "first"}, {}}}))
	equal(t, signed[0]["reference"], "first")
	equal(t, signed[1]["error"], "missing input")
	checked := results(t, write(t, "verify/sign-batch", fields{"batch_input": []fields{
		{"input": b64("a"), "signature": signed[0]["signature"]},
		{"input": b64("b"), "signature": signed[0]["signature"]}}}))
	equal(t, checked[0]["valid"], true)
	equal(t, checked[1]["valid"], false)
}

func TestEncryptRsa(t *testing.T) {
	write(t, "keys/seal-rsa", fields{"type": "rsa-2048"})
	public := publicKey(t, "seal-rsa").(*rsa.PublicKey)
	raw, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, []byte("hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	opened := write(t, "decrypt/seal-rsa",
		fields{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(raw)})
	equal(t, opened["plaintext"], b64("hello"))
}
